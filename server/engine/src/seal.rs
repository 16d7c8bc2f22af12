//! From packets to be sent to one send call: rewrites headers, seals each packet from the shared ring straight into the buffer,
//! and pads packets of nearly equal size to the same size, because only equal segments share a call (UDP_SEGMENT) and the call is the cost.

use crate::codec::{self, Codec, MAX_DESCRIPTOR_LEN, red};
use crate::forwarder::DropReason;
use crate::publication::Publication;
use crate::ring::Stored;
use crate::rtp::extension::{ExtensionKind, ExtensionMap};
use crate::rtp::{HeaderWriter, OutExtensions, Ssrc, rtx};
use crate::slab::Slab;
use crate::slot::{Outgoing, Slot};
use crate::srtp::{Outbound, Unsealed};
use crate::stats::Stats;
use crate::time::Tick;

/// Segments of one call (the kernel takes 128, older ones 64).
const MAX_SEGMENTS: usize = 60;

/// Bytes of one call: a UDP datagram before it is cut.
pub(crate) const MAX_CALL: usize = 60_000;

/// Largest packet sent: what fits Ethernet after IPv6 and UDP headers.
const MAX_PACKET: usize = 1452;

/// Packets may be padded by so much to share a call.
const MAX_PAD: usize = 48;

/// Longest patched head of a payload: an original sequence number and a payload descriptor.
const MAX_PREFIX: usize = rtx::OSN_LEN + MAX_DESCRIPTOR_LEN;

/// Header extensions that a leg negotiated, for each kind of m-line.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutMaps {
    pub(crate) audio: ExtensionMap,
    pub(crate) video: ExtensionMap,
}

/// What sealing needs of a leg.
pub(crate) struct Sealer<'a> {
    pub(crate) outbound: &'a Outbound,
    pub(crate) slots: &'a mut [Slot],
    pub(crate) maps: &'a OutMaps,
    /// Next transport-wide sequence number.
    pub(crate) transport_seq: &'a mut u16,
    pub(crate) now: Tick,
}

/// One sealed call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Packets taken from the queue.
    pub(crate) taken: usize,
    pub(crate) size: usize,
    pub(crate) segment_size: usize,
    pub(crate) packets: usize,
}

impl Sealer<'_> {
    /// Seals the front of `queue` into `buf`: as many packets as can share one call.
    pub(crate) fn seal(
        &mut self,
        queue: &[Outgoing],
        publications: &Slab<Publication>,
        buf: &mut [u8],
        stats: &mut Stats,
    ) -> Sealed {
        let mut call = Sealed::default();
        let group = self.group(queue, publications);
        let mut target = 0;
        for outgoing in queue {
            if call.packets > 0 && (call.taken >= group || call.size + call.segment_size > MAX_CALL)
            {
                break;
            }
            let Some(stored) = stored(outgoing, publications) else {
                stats.drop_packets(DropReason::Overtaken, 1);
                call.taken += 1;
                continue;
            };
            if call.packets == 0 {
                target = self.target(
                    outgoing,
                    &stored,
                    queue.get(call.taken..group).unwrap_or_default(),
                    publications,
                );
            }
            let Some(space) = buf.get_mut(call.size..) else {
                break;
            };
            let limit = if call.packets == 0 {
                MAX_PACKET
            } else {
                call.segment_size
            };
            match self.seal_one(outgoing, &stored, target, limit, space) {
                One::Sealed(len) => {
                    call.taken += 1;
                    call.packets += 1;
                    call.size += len;
                    if call.packets == 1 {
                        call.segment_size = len;
                    } else if len < call.segment_size {
                        break;
                    }
                }
                One::DoesNotFit if call.packets > 0 => break,
                One::DoesNotFit => {
                    stats.drop_packets(DropReason::TooLarge, 1);
                    call.taken += 1;
                }
            }
        }
        stats.packets_out += call.packets as u64;
        stats.bytes_out += call.size as u64;
        stats.sends += u64::from(call.packets > 0);
        call
    }

    /// How many packets of the queue are near enough in size to share a call; the last may be shorter.
    fn group(&self, queue: &[Outgoing], publications: &Slab<Publication>) -> usize {
        let (mut least, mut most) = (usize::MAX, 0);
        for (index, outgoing) in queue.iter().enumerate().take(MAX_SEGMENTS) {
            let Some(weight) = stored(outgoing, publications).map(|stored| weight(&stored)) else {
                continue;
            };
            let (low, high) = (least.min(weight), most.max(weight));
            if high - low > MAX_PAD.min(high / 8 + 16) && index > 0 {
                let is_shorter = weight < least;
                return if is_shorter { index + 1 } else { index.max(1) };
            }
            (least, most) = (low, high);
        }
        queue.len().min(MAX_SEGMENTS)
    }

    /// The size all packets of the group are padded to: that of the largest.
    fn target(
        &self,
        first: &Outgoing,
        first_stored: &Stored<'_>,
        group: &[Outgoing],
        publications: &Slab<Publication>,
    ) -> usize {
        let mut scratch = [0; 64 + 255];
        let header = self
            .header(first, first_stored, 0)
            .and_then(|(writer, extensions, map)| writer.write(&extensions, map, &mut scratch))
            .unwrap_or(12);
        let first_weight = weight(first_stored);
        let least = first_weight.saturating_sub(MAX_PAD);
        let most = group
            .iter()
            .filter_map(|outgoing| stored(outgoing, publications))
            .map(|stored| weight(&stored))
            .filter(|weight| *weight >= least)
            .max()
            .unwrap_or(first_weight);
        header + most - usize::from(first_stored.entry.descriptor_len)
            + self.outbound.profile().rtp_tag_len()
    }

    fn header<'s>(
        &self,
        outgoing: &Outgoing,
        stored: &Stored<'s>,
        transport_seq: u16,
    ) -> Option<(HeaderWriter, OutExtensions<'s>, &ExtensionMap)> {
        let slot = self.slots.get(usize::from(outgoing.slot))?;
        let is_audio = slot.kind == baton_protocol::MediaKind::Audio;
        let map = if is_audio {
            &self.maps.audio
        } else {
            &self.maps.video
        };
        let is_retransmission = outgoing.retransmission_of.is_some();
        #[expect(clippy::cast_possible_truncation, reason = "the wire carries 16 bits")]
        let writer = HeaderWriter {
            payload_type: if is_retransmission {
                outgoing.codec.retransmission?
            } else {
                outgoing.codec.payload_type
            },
            marker: stored.entry.marker,
            seq: outgoing.rewrite.seq as u16,
            timestamp: outgoing.rewrite.timestamp,
            ssrc: if is_retransmission {
                slot.rtx_ssrc
            } else {
                slot.ssrc
            },
            csrc: slot.speaker.map(|participant| Ssrc(participant.0)),
            has_padding: false,
        };
        let has_feedback = map.id(ExtensionKind::TransportSequence).is_some();
        let extensions = OutExtensions {
            transport_sequence: has_feedback.then_some(transport_seq),
            audio_level: stored.entry.audio_level,
            abs_send_time: (!has_feedback).then(|| abs_send_time(self.now)),
            dependency_descriptor: (!stored.descriptor.is_empty()).then_some(stored.descriptor),
            video_orientation: stored.entry.video_orientation,
            playout_delay: stored.entry.playout_delay,
            mid: None,
        };
        Some((writer, extensions, map))
    }

    fn seal_one(
        &mut self,
        outgoing: &Outgoing,
        stored: &Stored<'_>,
        target: usize,
        limit: usize,
        space: &mut [u8],
    ) -> One {
        let mut descriptor = [0; 255];
        let mut stored = *stored;
        let transport_seq = *self.transport_seq;
        if let Some(renumbered) = renumber(
            stored.descriptor,
            outgoing.rewrite.frame_number,
            &mut descriptor,
        ) {
            stored.descriptor = renumbered;
        }
        let Some((writer, extensions, map)) = self.header(outgoing, &stored, transport_seq) else {
            return One::DoesNotFit;
        };
        let Some(header_len) = writer.write(&extensions, map, space) else {
            return One::DoesNotFit;
        };
        let payload = payload(outgoing, &stored);
        let mut prefix = [0; MAX_PREFIX];
        let (prefix, rest) = patched(outgoing, stored.entry.codec, payload, &mut prefix);
        let bare = header_len + prefix.len() + rest.len() + self.outbound.profile().rtp_tag_len();
        if bare > limit {
            return One::DoesNotFit;
        }
        let pad = target
            .checked_sub(bare)
            .filter(|pad| *pad <= MAX_PAD + 8)
            .unwrap_or(0);
        if let (Some(first), true) = (space.first_mut(), pad > 0) {
            *first |= 0x20;
        }
        let Some(head) = space.get_mut(header_len..header_len + prefix.len()) else {
            return One::DoesNotFit;
        };
        head.copy_from_slice(prefix);
        let packet = Unsealed {
            header_len,
            prefix_len: prefix.len(),
            rest,
            pad: u8::try_from(pad).unwrap_or(0),
            ssrc: writer.ssrc.0,
            index: outgoing.rewrite.seq,
        };
        let Some(len) = self.outbound.seal_rtp(space, &packet) else {
            return One::DoesNotFit;
        };
        if extensions.transport_sequence.is_some() {
            *self.transport_seq = transport_seq.wrapping_add(1);
        }
        if let Some(slot) = self.slots.get_mut(usize::from(outgoing.slot))
            && outgoing.retransmission_of.is_none()
        {
            slot.packets = slot.packets.wrapping_add(1);
            slot.octets = slot
                .octets
                .wrapping_add(u32::try_from(payload.len()).unwrap_or(0));
        }
        One::Sealed(len)
    }
}

enum One {
    Sealed(usize),
    DoesNotFit,
}

/// The packet that is meant, unless the ring went on without it.
fn stored<'a>(outgoing: &Outgoing, publications: &'a Slab<Publication>) -> Option<Stored<'a>> {
    let publication = publications.get(outgoing.publication)?;
    publication
        .layers
        .get(usize::from(outgoing.layer))?
        .ring
        .at(outgoing.position)
}

/// Size of a packet without what is the same for all.
fn weight(stored: &Stored<'_>) -> usize {
    stored.payload.len() + stored.descriptor.len()
}

/// The bytes to forward: for a slot without RED the primary block only (RFC 2198).
fn payload<'a>(outgoing: &Outgoing, stored: &Stored<'a>) -> &'a [u8] {
    if stored.entry.codec == Codec::Red && outgoing.codec.codec == Codec::Opus {
        let offset = red::primary(stored.payload).map_or(0, |primary| primary.offset);
        return stored.payload.get(offset..).unwrap_or_default();
    }
    stored.payload
}

/// Splits a payload into rewritten head (in `scratch`) and rest.
fn patched<'a, 's>(
    outgoing: &Outgoing,
    codec: Codec,
    payload: &'a [u8],
    scratch: &'s mut [u8; MAX_PREFIX],
) -> (&'s [u8], &'a [u8]) {
    let osn_len = outgoing
        .retransmission_of
        .and_then(|seq| rtx::write_original(seq, scratch))
        .unwrap_or(0);
    let head_len = codec::descriptor_len(codec, payload);
    let Some((head, rest)) = payload.split_at_checked(head_len) else {
        return (&[], payload);
    };
    let Some(target) = scratch.get_mut(osn_len..osn_len + head_len) else {
        return (&[], payload);
    };
    target.copy_from_slice(head);
    codec::patch(
        codec,
        target,
        outgoing.rewrite.picture_id,
        outgoing.rewrite.tl0,
    );
    (scratch.get(..osn_len + head_len).unwrap_or_default(), rest)
}

/// The descriptor with another frame number.
fn renumber<'s>(
    descriptor: &[u8],
    frame_number: u16,
    scratch: &'s mut [u8; 255],
) -> Option<&'s [u8]> {
    if descriptor.len() < 3 {
        return None;
    }
    let copy = scratch.get_mut(..descriptor.len())?;
    copy.copy_from_slice(descriptor);
    copy.get_mut(1..3)?
        .copy_from_slice(&frame_number.to_be_bytes());
    Some(copy)
}

/// Seconds in 6.18 fixed point (http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time).
fn abs_send_time(now: Tick) -> u32 {
    let fixed = (u128::from(now.0) << 18) / 1_000_000;
    u32::try_from(fixed & 0xff_ffff).unwrap_or(0)
}
