//! A sending m-line that belongs to no track, over which padding goes out when the host is to measure this computer's uplink.
//!
//! Owns the packets and the task that sends them. How fast and how long is `ramp`'s; what came is for the host to say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_protocol::LegId;
use bytes::Bytes;
use rtc::rtp::Packet;
use rtc::rtp::header::Header;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use webrtc::error::Result;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::PeerConnection;

use super::arrivals::TRANSPORT_CC;
use super::echoes::Arrived;
use super::outlet::{Outlet, offered};
use super::{LegEvent, LegEvents};
use crate::media::Codec;
use crate::offer::Section;
use crate::publish::MID;
use crate::ramp::{PAYLOAD_BYTES, ProbePlan, ProbeReport, Ramp, Step};

/// The m-line of a leg for probes. Dropping it ends one that is under way.
pub(super) struct Prober {
    leg: LegId,
    outlet: Outlet,
    ssrc: u32,
    sluice: Option<Arc<Mutex<Sluice>>>,
    arrived: Option<mpsc::Receiver<Arrived>>,
    stop: watch::Sender<bool>,
}

/// What one probe after the other uses.
struct Sluice {
    label: Label,
    track: Arc<TrackLocalStaticRTP>,
    arrived: mpsc::Receiver<Arrived>,
    /// Both the packet's own number and the transport-wide one: nothing else on the leg has any.
    next: u16,
}

/// What makes a packet one of the m-line.
struct Label {
    ssrc: u32,
    payload_type: u8,
    mid: (u8, Bytes),
    transport: u8,
}

impl Prober {
    /// Adds the m-line.
    pub(super) async fn add(
        connection: &impl PeerConnection,
        leg: LegId,
        arrived: mpsc::Receiver<Arrived>,
    ) -> Result<Self> {
        let ssrc: u32 = rand::random();
        let streams = std::iter::once((ssrc, None));
        let outlet = Outlet::add(connection, "probe", offered(CODEC), streams).await?;
        Ok(Self {
            leg,
            outlet,
            ssrc,
            sluice: None,
            arrived: Some(arrived),
            stop: watch::Sender::new(true),
        })
    }

    /// Learns from the offer how its packets are labelled.
    pub(super) async fn offer(&mut self, sdp: &str) -> Result<()> {
        let mid = super::connection::mid(self.outlet.transceiver.as_ref()).await?;
        if let Some(label) = Label::find(sdp, &mid, self.ssrc)
            && let Some(arrived) = self.arrived.take()
        {
            self.sluice = Some(Arc::new(Mutex::new(Sluice {
                label,
                track: Arc::clone(&self.outlet.track),
                arrived,
                next: 0,
            })));
        }
        Ok(())
    }

    /// Begins a probe; [`LegEvent::Probed`] says how it ended. One that is under way goes on instead.
    pub(super) fn start(&self, plan: ProbePlan, events: LegEvents) {
        let Some(sluice) = self.sluice.clone() else {
            tracing::warn!(leg = %self.leg, "the offer has no way to number packets; the line is not probed");
            return;
        };
        if sluice.try_lock().is_err() {
            return;
        }
        self.stop.send_replace(false);
        let (leg, stop) = (self.leg, self.stop.subscribe());
        tokio::spawn(async move {
            let report = sluice.lock().await.probe(plan, stop).await;
            // The leg is gone: then nobody asks.
            let _ = events.send((leg, LegEvent::Probed(report))).await;
        });
    }

    /// Ends a probe at once, if there is one.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl Sluice {
    async fn probe(&mut self, plan: ProbePlan, mut stop: watch::Receiver<bool>) -> ProbeReport {
        while self.arrived.try_recv().is_ok() {}
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ramp = Ramp::new(plan, self.next, Instant::now());
        let (mut is_deaf, mut is_over) = (false, false);
        loop {
            tokio::select! {
                _ = ticks.tick() => match ramp.poll(Instant::now()) {
                    Step::End(_) => return ramp.report(),
                    Step::Send(count) => self.send(count).await,
                },
                arrived = self.arrived.recv(), if !is_deaf => match arrived {
                    Some(arrived) => ramp.note_arrivals(&arrived, Instant::now()),
                    None => is_deaf = true,
                },
                // The leg is gone, or somebody needs the line more.
                () = until_over(&mut stop), if !is_over => {
                    is_over = true;
                    ramp.interrupt();
                }
            }
        }
    }

    async fn send(&mut self, count: u16) {
        for _ in 0..count {
            let packet = self.label.packet(self.next);
            self.next = self.next.wrapping_add(1);
            if let Err(error) = self.track.write_rtp(packet).await {
                tracing::debug!(%error, "a packet of a probe was not sent");
            }
        }
    }
}

async fn until_over(stop: &mut watch::Receiver<bool>) {
    // Nobody can say it any more: then it is.
    let _ = stop.wait_for(|is_over| *is_over).await;
}

impl Label {
    /// Without its mid a packet could be taken for one of a picture, and without a number nothing would be heard of it.
    fn find(sdp: &str, mid: &str, ssrc: u32) -> Option<Self> {
        let section = Section::find(sdp, mid)?;
        Some(Self {
            ssrc,
            payload_type: section.payload_type(CODEC)?,
            mid: (
                section.extension(MID)?,
                Bytes::copy_from_slice(mid.as_bytes()),
            ),
            transport: section.extension(TRANSPORT_CC)?,
        })
    }

    fn packet(&self, number: u16) -> Packet {
        let mut header = Header {
            version: 2,
            payload_type: self.payload_type,
            sequence_number: number,
            ssrc: self.ssrc,
            ..Header::default()
        };
        let number = Bytes::copy_from_slice(&number.to_be_bytes());
        for (id, value) in [(self.mid.0, self.mid.1.clone()), (self.transport, number)] {
            if let Err(error) = header.set_extension(id, value) {
                tracing::debug!(%error, "a header extension does not fit");
            }
        }
        Packet {
            header,
            payload: Bytes::from_static(&[0; PAYLOAD_BYTES]),
        }
    }
}

/// Which one does not matter: nobody decodes it.
const CODEC: Codec = Codec::Vp8;

/// At 20 Mb/s eight packets at a time.
const TICK: Duration = Duration::from_millis(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_its_m_line_and_its_number_and_an_offer_without_either_is_not_probed() {
        let mid = "a=extmap:4/sendonly urn:ietf:params:rtp-hdrext:sdes:mid\r\n";
        let number = format!("a=extmap:6 {TRANSPORT_CC}\r\n");
        let offer = |extensions: &str| {
            format!(
                "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\na=rtpmap:96 VP8/90000\r\n{extensions}"
            )
        };
        let both = offer(&format!("{mid}{number}"));
        let packet = Label::find(&both, "2", 77).unwrap().packet(0x1234);
        assert_eq!((packet.header.ssrc, packet.header.payload_type), (77, 96));
        assert_eq!(packet.header.get_extension(4).as_deref(), Some(&b"2"[..]));
        let told = packet.header.get_extension(6);
        assert_eq!(told.as_deref(), Some(&[0x12, 0x34][..]));
        assert!(Label::find(&offer(mid), "2", 77).is_none());
        assert!(Label::find(&offer(&number), "2", 77).is_none());
    }
}
