//! From packets to be sent to one send call: rewrites headers, seals each packet from the shared ring straight into the buffer,
//! and pads packets of nearly equal size to the same size, because only equal segments share a call (UDP_SEGMENT) and the call is the cost.

use crate::codec::{self, Codec, MAX_DESCRIPTOR_LEN, red};
use crate::estimate::{Estimator, Kind};
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
pub(crate) const MAX_SEGMENTS: usize = 60;

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
    pub(crate) estimator: &'a mut Estimator,
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
        let (group, heaviest) = group(queue);
        for outgoing in group {
            if call.size + call.segment_size > MAX_CALL {
                break;
            }
            let Some(stored) = stored(outgoing, publications) else {
                stats.drop_packets(DropReason::Overtaken, 1);
                call.taken += 1;
                continue;
            };
            let Some(space) = buf.get_mut(call.size..) else {
                break;
            };
            let place = match call.packets {
                0 => Place::First { heaviest },
                _ => Place::Behind {
                    segment: call.segment_size,
                },
            };
            match self.seal_one(outgoing, &stored, place, space) {
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
            marker: outgoing.rewrite.marker,
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
            origin: Some(stored.entry.origin),
            mid: None,
        };
        Some((writer, extensions, map))
    }

    fn seal_one(
        &mut self,
        outgoing: &Outgoing,
        stored: &Stored<'_>,
        place: Place,
        space: &mut [u8],
    ) -> One {
        let mut scratch;
        let mut stored = *stored;
        if outgoing.rewrite.is_empty {
            (stored.payload, stored.descriptor) = (&[], &[]);
        }
        let transport_seq = *self.transport_seq;
        // Clearing the scratch costs as much as writing a header: most packets have no descriptor.
        if !stored.descriptor.is_empty() {
            scratch = [0; 255];
            let frame_number = outgoing.rewrite.frame_number;
            if let Some(renumbered) = renumber(stored.descriptor, frame_number, &mut scratch) {
                stored.descriptor = renumbered;
            }
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
        let tag_len = self.outbound.profile().rtp_tag_len();
        let bare = header_len + prefix.len() + rest.len() + tag_len;
        let (target, limit) = match place {
            Place::First { heaviest } => {
                let body_len = heaviest.saturating_sub(stored.descriptor.len());
                let target = header_len + body_len + tag_len;
                (target.min(MAX_PACKET), MAX_PACKET)
            }
            Place::Behind { segment } => (segment, segment),
        };
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
            self.estimator
                .note_sent(transport_seq, len, Kind::Media, self.now);
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

/// What a packet has to fit into.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// It begins a call, whose packets all become as long as one of this weight.
    First { heaviest: usize },
    /// The packets before it are this long.
    Behind { segment: usize },
}

enum One {
    Sealed(usize),
    DoesNotFit,
}

/// The packets at the front of the queue that are near enough in size to share a call (the last may be shorter), and the heaviest's weight.
fn group(queue: &[Outgoing]) -> (&[Outgoing], usize) {
    let (mut least, mut most) = (usize::MAX, 0);
    let mut len = 0;
    for outgoing in queue.iter().take(MAX_SEGMENTS) {
        let weight = usize::from(outgoing.weight);
        let (low, high) = (least.min(weight), most.max(weight));
        if len > 0 && high - low > MAX_PAD.min(high / 8 + 16) {
            len += usize::from(weight < least);
            break;
        }
        (least, most) = (low, high);
        len += 1;
    }
    (queue.get(..len).unwrap_or(queue), most)
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
    let micros = now.0 % (64 * 1_000_000);
    u32::try_from((micros << 18) / 1_000_000).unwrap_or(0)
}
