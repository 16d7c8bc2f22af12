//! Reads the packets of one received track: counts them, and assembles their frames where somebody wants them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_protocol::{LegId, ParticipantId};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp::Packet;
use rtc::rtp_transceiver::RTCRtpTransceiverId;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::Slot;
use super::connection::Slots;
use crate::assembly::{Assembler, Piece};
use crate::offer::Section;
use crate::reception::Seen;
use crate::stage::Stage;

pub(super) struct Receiver {
    track: Arc<dyn TrackRemote>,
    slots: Slots,
    frames: Option<Frames>,
}

/// Where the frames of a leg go.
#[derive(Clone)]
pub(super) struct Frames {
    pub(super) leg: LegId,
    pub(super) stage: Stage,
}

/// What a track's first event says of it.
struct Opened {
    slot: Slot,
    section: Section,
    assembler: Assembler,
    /// When a keyframe was last asked for.
    asked: Option<Instant>,
}

impl Receiver {
    pub(super) fn new(track: Arc<dyn TrackRemote>, slots: Slots, frames: Option<Frames>) -> Self {
        Self {
            track,
            slots,
            frames,
        }
    }

    /// Reads until the track ends.
    pub(super) async fn run(self) {
        let mut opened: Option<Opened> = None;
        while let Some(event) = self.track.poll().await {
            if let TrackRemoteEvent::OnOpen(event) = event {
                let found = self
                    .slots
                    .get(&RTCRtpTransceiverId::from(event.receiver_id));
                opened = found.map(|(slot, section)| Opened {
                    slot: slot.clone(),
                    section: section.clone(),
                    assembler: Assembler::new(slot.mid.clone()),
                    asked: None,
                });
            } else if let TrackRemoteEvent::OnRtpPacket(packet) = event
                && let Some(opened) = &mut opened
            {
                opened.slot.handle_packet(Seen {
                    seq: packet.header.sequence_number,
                    marker: packet.header.marker,
                    csrc: packet.header.csrc.first().copied(),
                    payload: packet.payload.len(),
                });
                if let Some(frames) = &self.frames
                    && opened.assemble(packet, frames, Instant::now())
                {
                    self.request_keyframe(opened).await;
                }
            }
        }
    }

    async fn request_keyframe(&self, opened: &mut Opened) {
        opened.asked = Some(Instant::now());
        for media_ssrc in self.track.ssrcs().await {
            let request = PictureLossIndication {
                sender_ssrc: 0,
                media_ssrc,
            };
            if let Err(error) = self.track.write_rtcp(vec![Box::new(request)]).await {
                tracing::debug!(%error, "a keyframe could not be asked for");
            }
        }
    }
}

impl Opened {
    /// Passes frames on. True if a keyframe has to be asked for.
    fn assemble(&mut self, packet: Packet, frames: &Frames, now: Instant) -> bool {
        let Some(codec) = self.section.codec(packet.header.payload_type) else {
            return false;
        };
        let piece = Piece {
            seq: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            codec,
            participant: packet.header.csrc.first().copied().map(ParticipantId),
            origin: self.section.origin(&packet.header),
            payload: packet.payload,
        };
        self.assembler.handle_packet(piece, now);
        let mut is_stuck = false;
        while let Some(frame) = self.assembler.poll_frame() {
            is_stuck |= frames.stage.handle_frame(frames.leg, frame, now);
        }
        (self.assembler.take_wants_keyframe() || is_stuck)
            && self.asked.is_none_or(|asked| now - asked > KEYFRAME_PAUSE)
    }
}

/// Least time between two requests.
const KEYFRAME_PAUSE: Duration = Duration::from_secs(1);
