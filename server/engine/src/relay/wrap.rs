//! How a send call for somebody behind the relay becomes one for the relay: each datagram gets a header, in place.
//!
//! Segments that were equal stay equal, so that they still share one call.

use std::net::SocketAddr;

use super::message::{DATA, HEADER, SEND_INDICATION, Writer, XOR_PEER_ADDRESS};
use crate::reflect::TransactionId;

/// Channel number and length (RFC 8656 section 12.4).
const CHANNEL_HEADER: usize = 4;

/// What stands before each datagram. The last two bytes are its length.
#[derive(Debug)]
pub(super) struct Head {
    bytes: Vec<u8>,
    /// Length of the attributes of a Send indication without its data.
    attributes: Option<usize>,
}

impl Head {
    /// ChannelData: four bytes.
    pub(super) fn channel(number: u16) -> Self {
        let [n0, n1] = number.to_be_bytes();
        Self {
            bytes: vec![n0, n1, 0, 0],
            attributes: None,
        }
    }

    /// A Send indication (RFC 8656 section 11.1): 36 bytes and padding.
    pub(super) fn indication(peer: SocketAddr, transaction: TransactionId) -> Self {
        let message = Writer::new(SEND_INDICATION, transaction);
        let bytes = message
            .address(XOR_PEER_ADDRESS, peer)
            .attribute(DATA, &[])
            .finish();
        let attributes = Some(bytes.len() - HEADER);
        Self { bytes, attributes }
    }

    /// How long a datagram of `len` bytes becomes. ChannelData by UDP needs no padding (RFC 8656 section 12.5).
    fn wrapped(&self, len: usize) -> usize {
        let padded = match self.attributes {
            Some(_) => len.next_multiple_of(4),
            None => len,
        };
        self.bytes.len() + padded
    }

    /// Wraps `size` bytes at the start of `buf`, which are datagrams of `segment` bytes (the last may be shorter). Gives both sizes as
    /// they are afterwards; `None` if a datagram is longer than a header can say.
    pub(super) fn wrap(
        &self,
        buf: &mut Vec<u8>,
        size: usize,
        segment: Option<usize>,
    ) -> Option<(usize, Option<usize>)> {
        let segment_size = segment.unwrap_or(size).max(1);
        let longest = u16::try_from(segment_size).ok()?;
        u16::try_from(self.wrapped(usize::from(longest))).ok()?;
        let full = size / segment_size;
        let last = size % segment_size;
        let stride = self.wrapped(segment_size);
        let total = full * stride + if last > 0 { self.wrapped(last) } else { 0 };
        if buf.len() < total {
            buf.resize(total, 0);
        }
        // From the last to the first, so that nothing is overwritten before it has moved.
        for index in (0..full + usize::from(last > 0)).rev() {
            let from = index * segment_size;
            let len = segment_size.min(size - from);
            let to = index * stride;
            let body = to + self.bytes.len();
            if from + len > buf.len() || body + len > buf.len() {
                return None;
            }
            buf.copy_within(from..from + len, body);
            let place = buf.get_mut(to..to + self.wrapped(len))?;
            self.write(place, len);
        }
        Some((total, segment.map(|_| stride)))
    }

    /// `place` holds the datagram where it belongs.
    fn write(&self, place: &mut [u8], len: usize) {
        let short = |len: usize| u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
        let Some((head, body)) = place.split_at_mut_checked(self.bytes.len()) else {
            return;
        };
        head.copy_from_slice(&self.bytes);
        if let Some(place) = head.last_chunk_mut::<2>() {
            *place = short(len);
        }
        if let (Some(attributes), Some(place)) = (self.attributes, head.get_mut(2..4)) {
            place.copy_from_slice(&short(attributes + len.next_multiple_of(4)));
        }
        if let Some(padding) = body.get_mut(len..) {
            padding.fill(0);
        }
    }
}

/// Where the data of ChannelData is, and under which number it came.
pub(super) fn read_channel(bytes: &[u8]) -> Option<(u16, std::ops::Range<usize>)> {
    let (&[n0, n1, l0, l1], rest) = bytes.split_first_chunk()?;
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    (len <= rest.len()).then_some((
        u16::from_be_bytes([n0, n1]),
        CHANNEL_HEADER..CHANNEL_HEADER + len,
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::message::Message;
    use super::*;

    fn peer() -> SocketAddr {
        "203.0.113.7:40000".parse().expect("address")
    }

    proptest! {
        #[test]
        fn every_datagram_is_found_again_behind_its_header(
            size in 1_usize..4000, segment in proptest::option::of(1_usize..1500), is_channel: bool,
        ) {
            let segment = segment.filter(|segment| *segment < size);
            let head = if is_channel { Head::channel(0x4007) } else { Head::indication(peer(), [5; 12]) };
            let plain: Vec<u8> = (0..size).map(|index| u8::try_from(index % 251).expect("small")).collect();
            let mut buf = plain.clone();
            // What was in the buffer before must not show through.
            buf.extend([0xee; 700]);
            let (total, stride) = head.wrap(&mut buf, size, segment).expect("short enough");
            prop_assert_eq!(segment.is_some(), stride.is_some());
            let wrapped = buf[..total].chunks(stride.unwrap_or(total));
            let expected = plain.chunks(segment.unwrap_or(size));
            prop_assert_eq!(wrapped.len(), expected.len());
            for (wrapped, expected) in wrapped.zip(expected) {
                if is_channel {
                    let (number, place) = read_channel(wrapped).expect("ChannelData");
                    prop_assert_eq!(number, 0x4007);
                    prop_assert_eq!(&wrapped[place], expected);
                } else {
                    let message = Message::read(wrapped).expect("a message");
                    prop_assert_eq!(message.kind, SEND_INDICATION);
                    prop_assert_eq!(message.address(XOR_PEER_ADDRESS), Some(peer()));
                    prop_assert_eq!(message.value(DATA), Some(expected));
                }
            }
        }
    }
}
