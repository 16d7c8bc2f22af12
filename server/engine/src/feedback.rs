//! RTCP of a leg, both ways: reports, NACKs, keyframe requests, and arrival feedback towards publishers; NACKs and reports from subscribers.

use std::time::Duration;

use baton_protocol::MediaKind;

use crate::arrivals;
use crate::bitrate::Bitrate;
use crate::inbound::Bound;
use crate::layer::Layer;
use crate::leg::Leg;
use crate::publication::Publication;
use crate::rtcp::{self, Ntp, ReportBlock, RtcpPacket};
use crate::rtp::Ssrc;
use crate::rtp::extension::ExtensionKind;
use crate::slab::Slab;
use crate::slot::{Receiver, Repair};
use crate::stats::Stats;
use crate::time::Tick;

/// Time between two rounds of reports.
const REPORT_INTERVAL: Duration = Duration::from_millis(1000);

/// All legs report at the same few moments of a second: each moment is a wake-up.
pub(crate) const REPORTS_TOGETHER: Duration = Duration::from_millis(200);

/// Report blocks of one packet (RFC 3550 section 6.4.1).
const MAX_BLOCKS: usize = 31;

/// A compound packet is closed when it has grown to this.
const FULL: usize = 1000;

/// Holes that one NACK message of a subscriber may ask for.
const MAX_ASKED: usize = 128;

/// Round trips outside these are measurements gone wrong.
const PLAUSIBLE_ROUND_TRIP: std::ops::Range<Duration> =
    Duration::from_micros(50)..Duration::from_secs(5);

impl Leg {
    /// Handles one authentic compound packet. True when there is something to send in return.
    pub(crate) fn handle_rtcp(
        &mut self,
        compound: &[u8],
        publications: &mut Slab<Publication>,
        now: Tick,
        stats: &mut Stats,
    ) -> bool {
        let mut has_output = false;
        for packet in rtcp::packets(compound) {
            match packet {
                RtcpPacket::SenderReport {
                    ssrc,
                    ntp,
                    rtp_timestamp,
                    blocks,
                    ..
                } => {
                    self.handle_sender_report(ssrc, ntp, rtp_timestamp, publications, now);
                    blocks.for_each(|block| self.handle_block(&block, now));
                }
                RtcpPacket::ReceiverReport { blocks, .. } => {
                    blocks.for_each(|block| self.handle_block(&block, now))
                }
                RtcpPacket::Nack { media, lost, .. } => {
                    for seq in lost.take(MAX_ASKED) {
                        stats.nacks_in += 1;
                        has_output |= self.retransmit(media, seq, publications, now, stats);
                    }
                }
                RtcpPacket::Pli { media, .. } => {
                    self.handle_keyframe_request(media, publications, stats)
                }
                RtcpPacket::Fir { entries, .. } => {
                    entries.for_each(|(media, _)| {
                        self.handle_keyframe_request(media, publications, stats)
                    });
                }
                RtcpPacket::TransportFeedback(feedback) if self.is_numbered() => {
                    stats.arrival_reports_in += 1;
                    self.estimator.handle_feedback(&feedback, now);
                    self.pacer.hold(self.estimator.is_breaking_in(), now);
                    has_output |= self.estimator.deadline() <= now;
                }
                RtcpPacket::Remb { bitrate, .. } => {
                    self.estimator.handle_remb(Bitrate(bitrate), now);
                }
                RtcpPacket::Sdes
                | RtcpPacket::Bye { .. }
                | RtcpPacket::TransportFeedback(_)
                | RtcpPacket::Unknown { .. } => {}
            }
        }
        has_output
    }

    fn handle_sender_report(
        &mut self,
        ssrc: Ssrc,
        ntp: Ntp,
        timestamp: u32,
        publications: &mut Slab<Publication>,
        now: Tick,
    ) {
        let bound = self
            .streams
            .iter()
            .find(|stream| stream.ssrc == ssrc)
            .map(|stream| stream.bound);
        if let Some(Bound::Media { publication, layer }) = bound
            && let Some(layer) = publications
                .get_mut(publication)
                .and_then(|found| found.layers.get_mut(layer))
        {
            layer.handle_sender_report(ntp, timestamp, now);
        }
    }

    fn handle_block(&mut self, block: &ReportBlock, now: Tick) {
        let is_ours = self
            .slots
            .iter()
            .any(|slot| slot.ssrc == block.ssrc || slot.rtx_ssrc == block.ssrc);
        if self.slots.iter().any(|slot| slot.ssrc == block.ssrc) {
            self.estimator.handle_report_loss(block.fraction_lost, now);
        }
        let Some(sample) = block
            .round_trip(ntp(now))
            .filter(|sample| is_ours && PLAUSIBLE_ROUND_TRIP.contains(sample))
        else {
            return;
        };
        let smoothed = self
            .round_trip
            .map_or(sample, |known| (known * 7 + sample) / 8);
        self.round_trip = Some(smoothed);
        self.estimator.handle_round_trip(smoothed);
    }

    fn retransmit(
        &mut self,
        media: Ssrc,
        seq: u16,
        publications: &mut Slab<Publication>,
        now: Tick,
        stats: &mut Stats,
    ) -> bool {
        let descriptor = self.maps_out.video.id(ExtensionKind::DependencyDescriptor);
        let receiver = Receiver {
            round_trip: self.round_trip(),
            reads_descriptors: descriptor.is_some(),
        };
        let Some((index, slot)) = self
            .slots
            .iter_mut()
            .enumerate()
            .find(|(_, slot)| slot.ssrc == media)
        else {
            return false;
        };
        let source = slot.showing.as_ref().map(|showing| showing.publication);
        let publication = source.and_then(|source| publications.get_mut(source));
        let (Some(publication), Ok(index)) = (publication, u16::try_from(index)) else {
            return false;
        };
        let line = (&mut self.pacer, receiver);
        match slot.retransmit(index, seq, publication, line, now, &mut self.outbox) {
            Repair::Repeats => {
                stats.rtx_out += 1;
                true
            }
            Repair::NotNow => false,
            Repair::GivenUp { layer } => {
                stats.given_up += 1;
                if let Some(layer) = publication.layers.get_mut(layer) {
                    layer.want_keyframe();
                }
                false
            }
        }
    }

    fn handle_keyframe_request(
        &mut self,
        media: Ssrc,
        publications: &mut Slab<Publication>,
        stats: &mut Stats,
    ) {
        stats.keyframe_requests_in += 1;
        let Some(slot) = self.slots.iter().find(|slot| slot.ssrc == media) else {
            return;
        };
        let (Some(showing), Some(layer)) = (&slot.showing, slot.layer()) else {
            return;
        };
        if let Some(layer) = publications
            .get_mut(showing.publication)
            .and_then(|publication| publication.layers.get_mut(layer))
        {
            layer.want_keyframe();
        }
    }

    /// Writes what is due. True when there is something to send.
    pub(crate) fn write_feedback(
        &mut self,
        publications: &mut Slab<Publication>,
        now: Tick,
        stats: &mut Stats,
    ) -> bool {
        if !self.is_connected {
            return false;
        }
        self.estimator.handle_timeout(now);
        if now >= self.report_due {
            self.report_due = (now + REPORT_INTERVAL).round_up(REPORTS_TOGETHER);
            self.write_reports(publications, now);
        }
        if now >= self.feedback_due {
            self.feedback_due = Tick::NEVER;
            self.write_requests(publications, now, stats);
            self.write_arrivals();
        }
        self.flush_compound();
        !self.control.is_empty()
    }

    /// Sender reports for what the slots sent, receiver reports for what arrived.
    fn write_reports(&mut self, publications: &mut Slab<Publication>, now: Tick) {
        let mut blocks = Vec::new();
        for stream in &self.streams {
            let Bound::Media { publication, layer } = stream.bound else {
                continue;
            };
            let layer = publications
                .get_mut(publication)
                .and_then(|found| found.layers.get_mut(layer));
            let current = layer.filter(|layer| layer.ssrc == Some(stream.ssrc));
            blocks.extend(current.and_then(|layer| layer.reception.report(stream.ssrc, now)));
        }
        for chunk in blocks.chunks(MAX_BLOCKS) {
            rtcp::Writer::new(&mut self.compound).receiver_report(self.ssrc, chunk);
            rtcp::Writer::new(&mut self.compound).sdes_cname(self.ssrc, &self.cname);
            self.flush_compound();
        }
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get(index) else {
                continue;
            };
            let Some((timestamp, at)) = slot.forwarder.newest().filter(|_| !slot.is_off) else {
                continue;
            };
            let elapsed = now.since(at).as_micros() * u128::from(slot.clock_rate()) / 1_000_000;
            let timestamp = timestamp.wrapping_add(u32::try_from(elapsed).unwrap_or(0));
            let mut writer = rtcp::Writer::new(&mut self.compound);
            writer.sender_report(
                slot.ssrc,
                ntp(now),
                timestamp,
                slot.packets,
                slot.octets,
                &[],
            );
            writer.sdes_cname(slot.ssrc, &self.cname);
            if self.compound.len() >= FULL {
                self.flush_compound();
            }
        }
        self.flush_compound();
    }

    /// NACKs and keyframe requests for what this participant publishes.
    fn write_requests(
        &mut self,
        publications: &mut Slab<Publication>,
        now: Tick,
        stats: &mut Stats,
    ) {
        let round_trip = self.round_trip();
        for &key in &self.publications {
            let Some(publication) = publications.get_mut(key) else {
                continue;
            };
            // Browsers do not repeat sound; its holes are counted out all the same, so that none is waited for.
            let is_repeated = publication.kind() == MediaKind::Video;
            // Requests for several layers go together: what follows the first alone is not heard.
            let is_due = |layer: &Layer| layer.keyframe_deadline().is_some_and(|due| due <= now);
            let is_asked = publication.layers.iter().any(is_due);
            for layer in &mut publication.layers {
                let Some(media) = layer.ssrc else { continue };
                layer.reception.poll_nacks(round_trip, now, &mut self.nacks);
                let mut writer = rtcp::Writer::new(&mut self.compound);
                if !self.nacks.is_empty() && is_repeated {
                    stats.nacks_out += self.nacks.len() as u64;
                    writer.nack(self.ssrc, media, &self.nacks);
                }
                if layer.poll_keyframe_request(now) {
                    stats.keyframe_requests_out += 1;
                    writer.pli(self.ssrc, media);
                }
                // Another host hears each request.
                if is_asked && publication.remote.is_none() {
                    layer.note_request(now);
                }
                let due = layer
                    .reception
                    .nack_deadline(round_trip)
                    .unwrap_or(Tick::NEVER);
                let due = due.min(layer.keyframe_deadline().unwrap_or(Tick::NEVER));
                self.feedback_due = self
                    .feedback_due
                    .min(due.max(now + Duration::from_millis(5)));
            }
        }
    }

    fn write_arrivals(&mut self) {
        if self.arrivals.is_empty() {
            return;
        }
        self.flush_compound();
        self.arrivals
            .report(self.ssrc, &mut rtcp::Writer::new(&mut self.compound));
        self.flush_compound();
    }

    fn flush_compound(&mut self) {
        if self.compound.is_empty() {
            return;
        }
        if let Some(crypto) = &mut self.crypto
            && crypto.outbound.seal_rtcp(&mut self.compound).is_some()
        {
            self.push_compound();
        }
        self.compound.clear();
    }

    /// Feedback for arrivals is due at the latest by then.
    pub(crate) fn hasten_feedback(&mut self, at: Tick) {
        self.feedback_due = self.feedback_due.min(at);
    }
}

/// The engine's time as NTP time: only differences matter to receivers, so it starts at an arbitrary hour.
fn ntp(now: Tick) -> Ntp {
    const START_SECONDS: u64 = 3_900_000_000;
    let micros = u128::from(now.0);
    let fixed = (u128::from(START_SECONDS) << 32) + (micros << 32) / 1_000_000;
    Ntp(u64::try_from(fixed).unwrap_or(u64::MAX))
}

const _: () = assert!(
    arrivals::INTERVAL.as_millis() <= 100,
    "libwebrtc expects feedback at least ten times a second"
);
