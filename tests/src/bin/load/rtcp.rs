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

/// Receiver report with one block that says all is well (RFC 3550 section 6.4.2).
pub(crate) fn receiver_report(own: u32, source: u32, highest: u32) -> Vec<u8> {
    let mut report = vec![0x81, 201, 0, 7];
    for field in [own, source, 0, highest, 0, 0, 0] {
        report.extend(field.to_be_bytes());
    }
    report
}

/// Transport-wide feedback: `count` packets from `first` on, all received, a quarter millisecond apart.
pub(crate) fn transport_feedback(
    own: u32,
    source: u32,
    first: u16,
    count: u16,
    reference: u32,
    number: u8,
) -> Vec<u8> {
    let mut report = vec![0x8f, 205, 0, 0];
    report.extend(own.to_be_bytes());
    report.extend(source.to_be_bytes());
    report.extend(first.to_be_bytes());
    report.extend(count.to_be_bytes());
    report.extend(&reference.to_be_bytes()[1..]);
    report.push(number);
    report.extend((0x2000 | count).to_be_bytes()); // run length of "small delta"
    report.extend(std::iter::repeat_n(1_u8, usize::from(count)));
    let padding = (4 - report.len() % 4) % 4;
    if padding > 0 {
        report[0] |= 0x20;
        let last = u8::try_from(padding).expect("1 to 3");
        report.extend(&[0, 0, 0, last][4 - padding..]);
    }
    let words = u16::try_from(report.len() / 4 - 1).expect("at most 1,000 packets are told");
    report[2..4].copy_from_slice(&words.to_be_bytes());
    report
}

/// What a compound packet asks for.
pub(crate) fn wishes(compound: &[u8]) -> Vec<Wish> {
    let mut found = Vec::new();
    let mut rest = compound;
    while let [first, kind, high, low, ..] = *rest {
        match (kind, first & 31) {
            (206, 1 | 4) => found.push(Wish::Keyframe),
            (205, 1) => found.push(Wish::Again),
            _ => {}
        }
        let size = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        rest = rest.get(size..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_tell_the_size_and_wishes_are_found_behind_reports() {
        let feedback = transport_feedback(1, 2, 65_530, 7, 9, 3);
        assert_eq!(feedback.len() % 4, 0);
        let pli = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        for report in [
            sender_report(1, 2, 3, 4, 5),
            receiver_report(1, 2, 3),
            feedback,
        ] {
            let words = usize::from(u16::from_be_bytes([report[2], report[3]]));
            assert_eq!(report.len(), 4 * (words + 1));
            assert_eq!(wishes(&[&report[..], &pli].concat()), [Wish::Keyframe]);
        }
        assert_eq!(wishes(&[0x81, 206, 0xff]), []);
    }
}
