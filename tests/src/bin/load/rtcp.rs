//! As much RTCP as a load needs: reports that keep a host content, and the wishes a host has of a publisher.

/// What a host asks of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// PLI or FIR (RFC 4585, RFC 5104).
    Keyframe,
    /// Packets again (NACK); the load's own line loses nothing, so this is only counted.
    Again,
}

/// Sender report without report blocks (RFC 3550 section 6.4.1).
pub(crate) fn sender_report(
    ssrc: u32,
    ntp: u64,
    timestamp: u32,
    packets: u32,
    octets: u32,
) -> Vec<u8> {
    let mut report = vec![0x80, 200, 0, 6];
    report.extend(ssrc.to_be_bytes());
    report.extend(ntp.to_be_bytes());
    for field in [timestamp, packets, octets] {
        report.extend(field.to_be_bytes());
    }
    report
}

/// Receiver report with one block that says all is well (RFC 3550 section 6.4.2). `heard`: the middle of the last sender report's
/// time, and how long ago that came in 1/65,536 s.
pub(crate) fn receiver_report(own: u32, source: u32, highest: u32, heard: (u32, u32)) -> Vec<u8> {
    let mut report = vec![0x81, 201, 0, 7];
    for field in [own, source, 0, highest, 0, heard.0, heard.1] {
        report.extend(field.to_be_bytes());
    }
    report
}

/// What a compound packet asks for.
pub(crate) fn wishes(compound: &[u8]) -> Vec<Wish> {
    let wish = |packet: &[u8]| match (packet[1], packet[0] & 31) {
        (206, 1 | 4) => Some(Wish::Keyframe),
        (205, 1) => Some(Wish::Again),
        _ => None,
    };
    packets(compound).filter_map(wish).collect()
}

/// The middle 32 bits of the time in a compound's first sender report.
pub(crate) fn sender_time(compound: &[u8]) -> Option<u32> {
    let report = packets(compound).find(|packet| packet[1] == 200)?;
    Some(u32::from_be_bytes(*report.get(10..)?.first_chunk()?))
}

/// The packets of a compound, four bytes long at least.
fn packets(compound: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = compound;
    std::iter::from_fn(move || {
        let [_, _, high, low, ..] = *rest else {
            return None;
        };
        let size = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        let (packet, behind) = rest.split_at(size.min(rest.len()));
        rest = behind;
        Some(packet)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_tell_the_size_and_wishes_are_found_behind_reports() {
        let pli = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        let sent = sender_report(1, 0x1122_3344_5566_7788, 3, 4, 5);
        let received = receiver_report(1, 2, 3, (4, 5));
        for report in [&sent, &received] {
            let words = usize::from(u16::from_be_bytes([report[2], report[3]]));
            assert_eq!(report.len(), 4 * (words + 1));
            assert_eq!(wishes(&[&report[..], &pli].concat()), [Wish::Keyframe]);
        }
        assert_eq!(wishes(&[0x81, 206, 0xff]), []);
        assert_eq!(sender_time(&[received, sent].concat()), Some(0x3344_5566));
    }
}
