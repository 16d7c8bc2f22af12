//! Frames to packets of one stream.
//!
//! Pure. VP8 and VP9 are split into parts of equal size, so that a host can send a frame on with one call. The descriptors
//! have no layers: what is sent has none.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use rtc::rtp::Packet;
use rtc::rtp::codec::{av1::Av1Payloader, h264::H264Payloader};
use rtc::rtp::header::Header;
use rtc::rtp::packetizer::Payloader;

use crate::media::{Codec, Frame};

/// One stream: its frames come in order.
#[derive(Debug)]
pub(super) struct Packetizer {
    format: Format,
    clock_rate: u32,
    ssrc: u32,
    seq: u16,
    /// Timestamp of the clock's zero.
    zero: u32,
}

/// How a codec's frames are laid out, and what is counted for that.
#[derive(Debug)]
enum Format {
    Opus,
    Vp8 { picture_id: u16 },
    Vp9 { picture_id: u16 },
    H264(H264Payloader),
    Av1(Av1Payloader),
}

impl Packetizer {
    /// A stream whose numbers begin at random, as RFC 3550 section 5.1 asks.
    pub(super) fn new(codec: Codec, ssrc: u32, seq: u16, zero: u32) -> Self {
        let format = match codec {
            Codec::Opus => Format::Opus,
            Codec::Vp8 => Format::Vp8 { picture_id: 0 },
            Codec::Vp9 => Format::Vp9 { picture_id: 0 },
            Codec::H264 => Format::H264(H264Payloader::default()),
            Codec::Av1 => Format::Av1(Av1Payloader::default()),
        };
        Self {
            format,
            clock_rate: codec.clock_rate(),
            ssrc,
            // In the lower half, so that whoever misses the first packets cannot misjudge the rollover (RFC 3711 section 3.3.1).
            seq: seq & 0x7fff,
            zero,
        }
    }

    /// The packets of a frame that is due at `at`; their payload types and extensions are those of the leg.
    pub(super) fn packets(&mut self, frame: &Frame, at: Duration) -> Vec<Packet> {
        let timestamp = self.timestamp(at);
        let payloads = self.format.payloads(frame);
        let last = payloads.len().saturating_sub(1);
        let is_sound = matches!(self.format, Format::Opus);
        let packet = |(index, payload)| {
            let header = Header {
                version: 2,
                marker: index == last && !is_sound,
                sequence_number: self.seq,
                timestamp,
                ssrc: self.ssrc,
                ..Header::default()
            };
            self.seq = self.seq.wrapping_add(1);
            Packet { header, payload }
        };
        payloads.into_iter().enumerate().map(packet).collect()
    }

    fn timestamp(&self, at: Duration) -> u32 {
        let ticks = at.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        // The timestamp is the clock modulo 2^32.
        let ticks = u32::try_from(ticks & u128::from(u32::MAX)).expect("masked to 32 bits");
        self.zero.wrapping_add(ticks)
    }
}

impl Format {
    fn payloads(&mut self, frame: &Frame) -> Vec<Bytes> {
        match self {
            Self::Opus => vec![frame.data.clone()],
            Self::Vp8 { picture_id } => {
                let id = next(picture_id);
                // RFC 7741 section 4.2: X; I; a picture id of 15 bits. S on the first part.
                describe(&frame.data, |place| {
                    let start = if place.is_first { 0x10 } else { 0 };
                    [0x80 | start, 0x80].into_iter().chain(id)
                })
            }
            Self::Vp9 { picture_id } => {
                let id = next(picture_id);
                let is_predicted = if frame.is_key { 0 } else { 0x40 };
                // RFC 9628 section 4.2: I, P, B, E; a picture id of 15 bits.
                describe(&frame.data, |place| {
                    let begin = if place.is_first { 0x08 } else { 0 };
                    let end = if place.is_last { 0x04 } else { 0 };
                    [0x80 | is_predicted | begin | end].into_iter().chain(id)
                })
            }
            Self::H264(payloader) => told(payloader.payload(MOST_PAYLOAD, &frame.data)),
            Self::Av1(payloader) => told(payloader.payload(MOST_PAYLOAD, &frame.data)),
        }
    }
}

fn told(payloads: rtc::shared::error::Result<Vec<Bytes>>) -> Vec<Bytes> {
    payloads.unwrap_or_else(|error| {
        tracing::debug!(%error, "a frame cannot be packed and is left out");
        Vec::new()
    })
}

/// The picture id of this frame as two bytes with the bit that says so; the next frame has another.
fn next(picture_id: &mut u16) -> [u8; 2] {
    let [high, low] = picture_id.to_be_bytes();
    *picture_id = (*picture_id + 1) & 0x7fff;
    [0x80 | high, low]
}

struct Place {
    is_first: bool,
    is_last: bool,
}

/// Splits a frame into as few parts as fit, as equal as they can be, each behind its descriptor.
fn describe<D: Iterator<Item = u8>>(frame: &Bytes, descriptor: impl Fn(Place) -> D) -> Vec<Bytes> {
    let count = frame.len().div_ceil(MOST_PAYLOAD - MOST_DESCRIPTOR);
    let part = |index: usize| {
        let (begin, end) = (
            frame.len() * index / count,
            frame.len() * (index + 1) / count,
        );
        let mut payload = BytesMut::with_capacity(MOST_DESCRIPTOR + end - begin);
        payload.extend(descriptor(Place {
            is_first: index == 0,
            is_last: index + 1 == count,
        }));
        payload.put(frame.slice(begin..end));
        payload.freeze()
    };
    (0..count).map(part).collect()
}

/// What leaves room for headers, extensions, SRTP and tunnels in a datagram of 1200 bytes.
const MOST_PAYLOAD: usize = 1140;

const MOST_DESCRIPTOR: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, is_key: bool) -> Frame {
        Frame {
            at: Duration::ZERO,
            is_key,
            data: Bytes::from(vec![7; length]),
        }
    }

    #[test]
    fn a_large_frame_is_split_into_equal_parts_that_share_a_picture_id() {
        let mut packetizer = Packetizer::new(Codec::Vp8, 1, u16::MAX, 0);
        let packets = packetizer.packets(&frame(5000, true), Duration::ZERO);
        let sizes: Vec<usize> = packets.iter().map(|packet| packet.payload.len()).collect();
        assert_eq!(sizes, [1004; 5]);
        let starts: Vec<u8> = packets.iter().map(|packet| packet.payload[0]).collect();
        assert_eq!(starts, [0x90, 0x80, 0x80, 0x80, 0x80]);
        assert!(
            packets
                .iter()
                .all(|packet| packet.payload[1..4] == [0x80, 0x80, 0])
        );
        let markers: Vec<bool> = packets.iter().map(|packet| packet.header.marker).collect();
        assert_eq!(markers, [false, false, false, false, true]);
        let next = packetizer.packets(&frame(10, false), Duration::ZERO);
        assert_eq!(next[0].payload[1..4], [0x80, 0x80, 1]);
        assert_eq!(next[0].header.sequence_number, 0x7fff + 5);
    }

    #[test]
    fn numbers_go_round() {
        let mut packetizer = Packetizer::new(Codec::Vp9, 1, 0x7fff, u32::MAX);
        let mut last = None;
        for count in 0..0x8003_u32 {
            let at = Duration::from_secs(1) * count;
            last = packetizer.packets(&frame(1, false), at).pop();
        }
        let last = last.unwrap();
        assert_eq!(last.header.sequence_number, 1);
        assert_eq!(last.payload[..3], [0xcc, 0x80, 2]);
        assert_eq!(last.header.timestamp, (0x8002_u32 * 90_000).wrapping_sub(1));
    }

    #[test]
    fn sound_is_one_packet_without_a_marker_and_nothing_is_no_packet() {
        let mut packetizer = Packetizer::new(Codec::Opus, 1, 0, 100);
        let packets = packetizer.packets(&frame(80, true), Duration::from_millis(20));
        assert_eq!(packets.len(), 1);
        assert!(!packets[0].header.marker);
        assert_eq!(packets[0].header.timestamp, 1060);
        let mut packetizer = Packetizer::new(Codec::Vp8, 1, 0, 0);
        assert!(
            packetizer
                .packets(&frame(0, true), Duration::ZERO)
                .is_empty()
        );
    }
}
