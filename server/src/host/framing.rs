//! Datagrams in a byte stream: each behind its length in two bytes (RFC 4571 section 2). Pure.

/// Longest datagram that is believed: STUN, DTLS and media all fit an Ethernet packet.
pub(crate) const MAX_FRAME: usize = 2048;

/// Bytes in front of each datagram.
const PREFIX: usize = 2;

/// The other side announces a datagram that nobody sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes; at most {MAX_FRAME} are believed")]
pub(crate) struct Oversized(usize);

/// How many bytes at the start of `bytes` are whole frames.
pub(crate) fn whole(bytes: &[u8]) -> Result<usize, Oversized> {
    let mut end = 0;
    while let Some((prefix, rest)) = bytes
        .get(end..)
        .and_then(|rest| rest.split_first_chunk::<PREFIX>())
    {
        let len = usize::from(u16::from_be_bytes(*prefix));
        if len > MAX_FRAME {
            return Err(Oversized(len));
        }
        if rest.len() < len {
            break;
        }
        end += PREFIX + len;
    }
    Ok(end)
}

/// The datagram whose frame starts at `at`, which moves behind it. `None` where no whole one is left.
pub(crate) fn next<'a>(bytes: &'a mut [u8], at: &mut usize) -> Option<&'a mut [u8]> {
    let rest = bytes.get_mut(*at..)?;
    let (prefix, rest) = rest.split_first_chunk_mut::<PREFIX>()?;
    let len = usize::from(u16::from_be_bytes(*prefix));
    let datagram = rest.get_mut(..len)?;
    *at += PREFIX + len;
    Some(datagram)
}

/// Appends a datagram. One that does not fit a frame is left out: false.
pub(crate) fn push(stream: &mut Vec<u8>, datagram: &[u8]) -> bool {
    let Ok(len) = u16::try_from(datagram.len()) else {
        return false;
    };
    stream.extend_from_slice(&len.to_be_bytes());
    stream.extend_from_slice(datagram);
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes out when `stream` arrives in pieces of these sizes.
    fn read_in_pieces(stream: &[u8], sizes: &[usize]) -> Result<Vec<Vec<u8>>, Oversized> {
        let mut datagrams = Vec::new();
        let mut waiting = Vec::new();
        let mut sizes = sizes.iter().cycle();
        let mut rest = stream;
        while !rest.is_empty() {
            let size = (*sizes.next().expect("endless")).clamp(1, rest.len());
            let (piece, after) = rest.split_at(size);
            (rest, waiting) = (after, [waiting, piece.to_vec()].concat());
            let end = whole(&waiting)?;
            let mut bundle: Vec<u8> = waiting.drain(..end).collect();
            let mut at = 0;
            while let Some(datagram) = next(&mut bundle, &mut at) {
                datagrams.push(datagram.to_vec());
            }
            assert_eq!(at, bundle.len(), "a bundle is whole frames");
        }
        Ok(datagrams)
    }

    #[test]
    fn a_frame_that_nobody_sends_is_refused_before_it_is_waited_for() {
        let len = u16::try_from(MAX_FRAME + 1).unwrap();
        assert_eq!(whole(&len.to_be_bytes()), Err(Oversized(MAX_FRAME + 1)));
        assert_eq!(whole(&[0]), Ok(0));
        assert_eq!(whole(&[0, 0, 0, 1]), Ok(2), "an empty one is one");
        assert!(!push(&mut Vec::new(), &[0; 70_000]));
    }

    proptest! {
        #[test]
        fn datagrams_come_out_as_they_went_in_however_the_stream_is_cut(
            datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            sizes in prop::collection::vec(1..400_usize, 1..10),
        ) {
            let mut stream = Vec::new();
            for datagram in &datagrams {
                prop_assert!(push(&mut stream, datagram));
            }
            prop_assert_eq!(read_in_pieces(&stream, &sizes), Ok(datagrams));
        }

        #[test]
        fn any_bytes_are_frames_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..3000),
            sizes in prop::collection::vec(1..400_usize, 1..10),
        ) {
            let _ = read_in_pieces(&bytes, &sizes);
        }
    }
}
