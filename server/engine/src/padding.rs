//! Padding: packets without content on a slot's retransmission stream, to see whether the line carries more.
//!
//! RFC 4588 section 4 has no payload shorter than the original sequence number, so receivers drop what is empty after they have counted and
//! reported it; libwebrtc pads in the same way. How much and when is the estimator's business.

use baton_protocol::MediaKind;

use crate::estimate::Kind;
use crate::leg::Leg;
use crate::rtp::extension::ExtensionKind;
use crate::rtp::{HeaderWriter, OutExtensions, PayloadType};
use crate::seal::{MAX_SEGMENTS, Sealed, Sealer};
use crate::slot::Slot;
use crate::srtp::Unsealed;
use crate::stats::Stats;

/// Most padding of a packet (RFC 3550 section 5.1: the last byte counts it).
const MOST: u8 = 255;

impl Slot {
    /// May padding be sent on it? It need not have sent media: what is paused for want of room is what padding may free.
    pub(crate) fn can_pad(&self) -> bool {
        !self.is_off && self.padding_type().is_some()
    }

    fn padding_type(&self) -> Option<PayloadType> {
        self.codecs.iter().find_map(|codec| codec.retransmission)
    }
}

impl Leg {
    /// Are pictures numbered for reports of arrivals, and can padding be sent beside them?
    pub(crate) fn can_probe(&self) -> bool {
        self.is_numbered() && self.slots.iter().any(Slot::can_pad)
    }

    /// Without numbers on its pictures, reports of arrivals say nothing about them.
    pub(crate) fn is_numbered(&self) -> bool {
        let number = self.maps_out.video.id(ExtensionKind::TransportSequence);
        number.is_some() || self.slots.iter().all(|slot| slot.kind == MediaKind::Audio)
    }
}

impl Sealer<'_> {
    /// Seals the padding that is due now, as one call.
    pub(crate) fn seal_padding(&mut self, buf: &mut [u8], stats: &mut Stats) -> Sealed {
        let mut call = Sealed::default();
        let Some(mut bytes) = self.estimator.poll_probe(self.now) else {
            return call;
        };
        let has_number = self
            .maps
            .video
            .id(ExtensionKind::TransportSequence)
            .is_some();
        let slot = self.slots.iter().position(Slot::can_pad);
        let Some(slot) = slot.filter(|_| has_number) else {
            return call;
        };
        while bytes > 0 && call.packets < MAX_SEGMENTS {
            let space = buf.get_mut(call.size..).unwrap_or_default();
            let Some(len) = self.seal_padding_packet(slot, space) else {
                break;
            };
            call.segment_size = len;
            call.size += len;
            call.packets += 1;
            bytes = bytes.saturating_sub(len);
        }
        stats.padding_out += call.packets as u64;
        stats.padding_bytes_out += call.size as u64;
        call
    }

    fn seal_padding_packet(&mut self, slot: usize, space: &mut [u8]) -> Option<usize> {
        let slot = self.slots.get_mut(slot)?;
        let timestamp = slot
            .forwarder
            .newest()
            .map_or(0, |(timestamp, _)| timestamp);
        #[expect(clippy::cast_possible_truncation, reason = "the wire carries 16 bits")]
        let writer = HeaderWriter {
            payload_type: slot.padding_type()?,
            marker: false,
            seq: slot.rtx_seq as u16,
            timestamp,
            ssrc: slot.rtx_ssrc,
            csrc: None,
            has_padding: true,
        };
        let seq = *self.transport_seq;
        let extensions = OutExtensions {
            transport_sequence: Some(seq),
            ..OutExtensions::default()
        };
        let header_len = writer.write(&extensions, &self.maps.video, space)?;
        let packet = Unsealed {
            header_len,
            prefix_len: 0,
            rest: &[],
            pad: MOST,
            ssrc: slot.rtx_ssrc.0,
            index: slot.rtx_seq,
        };
        let len = self.outbound.seal_rtp(space, &packet)?;
        slot.rtx_seq += 1;
        *self.transport_seq = seq.wrapping_add(1);
        self.estimator.note_sent(seq, len, Kind::Padding, self.now);
        Some(len)
    }
}
