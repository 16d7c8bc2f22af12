//! Names and meanings of the numbers on `/metrics`. Read from snapshots at scrape; nothing here is touched per packet.
//!
//! No room and no participant is ever a label. To add a number: one line in [`Numbers::encode`].

use std::fmt;

use baton_engine::DropReason;
use baton_server::{Snapshot, Snapshots};
use baton_signaling::Service;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub(crate) fn registry(snapshots: Option<Snapshots>, service: Option<Service>) -> Registry {
    let mut registry = Registry::with_prefix("baton");
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    registry.register("build", "Version of the program", Info::new(version));
    registry.register_collector(Box::new(Numbers { snapshots, service }));
    registry
}

#[derive(Debug)]
struct Numbers {
    snapshots: Option<Snapshots>,
    service: Option<Service>,
}

impl Collector for Numbers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page { encoder };
        if let Some(service) = &self.service {
            signaling(&mut page, service)?;
        }
        match &self.snapshots {
            Some(snapshots) => media(&mut page, &snapshots.latest()),
            None => Ok(()),
        }
    }
}

fn signaling(page: &mut Page<'_>, service: &Service) -> fmt::Result {
    let stats = service.stats();
    page.gauge("rooms", "Rooms now", stats.rooms as u64)?;
    page.gauge(
        "participants",
        "Participants now, those who may come back included",
        stats.participants as u64,
    )?;
    page.gauge(
        "sockets",
        "Signaling sockets of participants now",
        stats.sockets as u64,
    )?;
    page.gauge("hosts", "Linked hosts now", stats.hosts as u64)?;
    page.counter(
        "resumes",
        "Participants who came back to where they were",
        stats.resumes,
    )?;
    page.counter(
        "sockets_cut_off",
        "Sockets closed because they did not read",
        stats.cut_off,
    )?;
    page.counters(
        "signaling_messages",
        "Messages of participants",
        "type",
        &stats.messages,
    )?;
    page.counters(
        "signaling_errors",
        "Errors told to participants",
        "code",
        &stats.errors,
    )
}

fn media(page: &mut Page<'_>, workers: &[Snapshot]) -> fmt::Result {
    let sum = |figure: fn(&Snapshot) -> u64| workers.iter().map(figure).sum::<u64>();
    page.gauge("workers", "Media threads", workers.len() as u64)?;
    page.gauge(
        "media_rooms",
        "Rooms with legs on this host",
        sum(|w| w.engine.rooms),
    )?;
    let connected = sum(|w| w.engine.legs_connected);
    let connecting = sum(|w| w.engine.legs).saturating_sub(connected);
    let states = [("connected", connected), ("connecting", connecting)];
    page.gauges("legs", "Legs now", "state", &states)?;
    let profiles = [
        ("aead_aes_128_gcm", sum(|w| w.engine.legs_gcm)),
        ("aes_cm_128_hmac_sha1_80", sum(|w| w.engine.legs_cm)),
    ];
    page.counters("legs_connected", "Legs that connected", "srtp", &profiles)?;
    page.counter(
        "layer_switches",
        "Slots that changed layer or source",
        sum(|w| w.engine.switches),
    )?;
    page.counter(
        "repaired_packets",
        "Packets that publishers sent again and that filled a hole",
        sum(|w| w.engine.rtx_in),
    )?;

    let ways = |inward, outward| [("in", inward), ("out", outward)];
    let packets_out = sum(|w| w.engine.packets_out);
    let send_calls = sum(|w| w.traffic.send_calls);
    page.counter(
        "datagrams_received",
        "Datagrams that reached an engine",
        sum(|w| w.engine.datagrams_in),
    )?;
    page.counters(
        "rtp_packets",
        "RTP packets",
        "direction",
        &ways(sum(|w| w.engine.packets_in), packets_out),
    )?;
    page.counters(
        "rtp_bytes",
        "Bytes of RTP packets",
        "direction",
        &ways(sum(|w| w.engine.bytes_in), sum(|w| w.engine.bytes_out)),
    )?;
    page.counters(
        "rtcp_packets",
        "RTCP packets",
        "direction",
        &ways(sum(|w| w.engine.rtcp_in), sum(|w| w.engine.rtcp_out)),
    )?;
    page.counters(
        "nacks",
        "Packets asked for again",
        "direction",
        &ways(sum(|w| w.engine.nacks_in), sum(|w| w.engine.nacks_out)),
    )?;
    page.counter(
        "retransmissions",
        "Packets sent again (RTX)",
        sum(|w| w.engine.rtx_out),
    )?;
    page.counter(
        "packets_given_up",
        "Packets asked for again in vain, so that a keyframe takes their place",
        sum(|w| w.engine.given_up),
    )?;
    page.counters(
        "keyframe_requests",
        "Requests for a keyframe (PLI, FIR)",
        "direction",
        &ways(
            sum(|w| w.engine.keyframe_requests_in),
            sum(|w| w.engine.keyframe_requests_out),
        ),
    )?;
    estimates(page, workers)?;
    let refused = [
        ("not_authentic", sum(|w| w.engine.open_failures)),
        ("replayed", sum(|w| w.engine.replayed)),
        ("unroutable", sum(|w| w.engine.unroutable)),
        ("malformed", sum(|w| w.engine.malformed)),
        ("unbound", sum(|w| w.engine.unbound)),
        ("unknown_sender", sum(|w| w.traffic.unknown)),
    ];
    page.counters(
        "datagrams_refused",
        "Datagrams that were not used",
        "reason",
        &refused,
    )?;
    page.counters(
        "rtp_dropped_packets",
        "Packets not forwarded to a subscriber",
        "reason",
        &dropped(workers),
    )?;

    page.counter(
        "transmits",
        "Transmits of the engines, each at best one send call",
        sum(|w| w.engine.sends),
    )?;
    page.counter("send_calls", "Send calls", send_calls)?;
    page.ratio(
        "packets_per_send_call",
        "RTP packets for each send call since the start",
        packets_out,
        send_calls,
    )?;
    page.counter(
        "receive_calls",
        "Receive calls that brought something",
        sum(|w| w.traffic.receive_calls),
    )?;
    page.counters(
        "socket_errors",
        "Calls the system refused",
        "direction",
        &ways(
            sum(|w| w.traffic.receive_errors),
            sum(|w| w.traffic.send_errors),
        ),
    )?;
    page.counter(
        "send_waits",
        "Times a full send buffer was waited for",
        sum(|w| w.traffic.send_waits),
    )?;
    page.counter(
        "send_dropped",
        "Transmits lost to a full send buffer",
        sum(|w| w.traffic.send_dropped),
    )?;
    page.counter(
        "reflected",
        "Computers that asked for their own address and were told",
        sum(|w| w.engine.reflected),
    )?;
    page.gauge(
        "media_connections",
        "Connections that carry media by TCP",
        sum(|w| w.traffic.streams),
    )?;
    page.counter(
        "stream_dropped",
        "Datagrams lost because the connection they were for, or the worker, did not keep up",
        sum(|w| w.traffic.stream_dropped),
    )?;
    let handovers = [
        ("sent", sum(|w| w.traffic.handed_over)),
        ("dropped", sum(|w| w.traffic.handover_dropped)),
    ];
    page.counters(
        "handovers",
        "Batches received by another worker than their leg's",
        "result",
        &handovers,
    )?;
    page.counter(
        "host_messages_dropped",
        "Messages to signaling lost to a full queue",
        sum(|w| w.traffic.messages_dropped),
    )
}

/// How much the lines towards participants carry.
fn estimates(page: &mut Page<'_>, workers: &[Snapshot]) -> fmt::Result {
    let sum = |figure: fn(&Snapshot) -> u64| workers.iter().map(figure).sum::<u64>();
    let legs = sum(|w| w.engine.legs_estimated);
    page.gauge("legs_estimated", "Legs whose line is known", legs)?;
    page.gauge(
        "legs_queueing",
        "Legs whose packets wait for more than 100 ms on the line",
        sum(|w| w.engine.legs_queueing),
    )?;
    let known = workers.iter().filter(|w| w.engine.legs_estimated > 0);
    let least = known.map(|w| w.engine.estimate_least).min();
    let rates = [
        ("sum", sum(|w| w.engine.estimate_sum)),
        ("least", least.unwrap_or(0)),
    ];
    page.gauges(
        "estimate_bits_per_second",
        "What the known lines carry",
        "of",
        &rates,
    )?;
    page.counter(
        "arrival_reports",
        "Reports of arrivals by participants",
        sum(|w| w.engine.arrival_reports_in),
    )?;
    page.counter(
        "padding_packets",
        "Packets sent to see whether they arrive",
        sum(|w| w.engine.padding_out),
    )?;
    page.counter(
        "padding_bytes",
        "Bytes of these packets",
        sum(|w| w.engine.padding_bytes_out),
    )
}

fn dropped(workers: &[Snapshot]) -> Vec<(&'static str, u64)> {
    let total = |index| {
        workers
            .iter()
            .filter_map(|w| w.engine.dropped.get(index))
            .sum()
    };
    let reasons = DropReason::ALL.iter().enumerate();
    reasons
        .map(|(index, reason)| (reason.name(), total(index)))
        .collect()
}

/// The scrape as it is written.
struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

type Labelled = [(&'static str, u64)];

impl Page<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(metric)
    }

    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    fn ratio(&mut self, name: &str, help: &str, of: u64, to: u64) -> fmt::Result {
        let metric = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(of as f64 / to.max(1) as f64).encode(metric)
    }

    fn counters(&mut self, name: &str, help: &str, label: &str, values: &Labelled) -> fmt::Result {
        let mut metric = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, count) in values {
            ConstCounter::new(*count).encode(metric.encode_family(&[(label, *value)])?)?;
        }
        Ok(())
    }

    fn gauges(&mut self, name: &str, help: &str, label: &str, values: &Labelled) -> fmt::Result {
        let mut metric = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (value, count) in values {
            ConstGauge::new(*count).encode(metric.encode_family(&[(label, *value)])?)?;
        }
        Ok(())
    }
}
