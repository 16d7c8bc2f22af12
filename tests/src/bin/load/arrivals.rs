//! Reports of arrivals as a browser writes them: which numbered packets came, and when by the kernel's clock.
//!
//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1). Does not own when a report is due.

use std::time::Duration;

/// Deltas are told in steps of a quarter millisecond.
const TICK_MICROS: u128 = 250;
/// The reference time has steps of 64 ms.
const TICKS_PER_REFERENCE: i64 = 256;
/// Symbols of a status vector chunk with two bits each.
const PER_CHUNK: usize = 7;
/// A report tells of so many packets at most; what is older than that many is not told any more.
const MOST: u16 = 1_000;

/// What has arrived since the last report.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// Numbers with their times in ticks, in order of arrival.
    fresh: Vec<(u16, i64)>,
    /// The first number that no report has told of.
    next: Option<u16>,
    reports: u8,
}

impl Arrivals {
    /// Notes a packet's number and when it came, counted from any moment.
    pub(crate) fn note(&mut self, number: u16, at: Duration) {
        let ticks = i64::try_from(at.as_micros() / TICK_MICROS).unwrap_or(i64::MAX);
        self.fresh.push((number, ticks));
    }

    /// Writes a report of everything new; nothing where nothing came.
    pub(crate) fn report(&mut self, own: u32, source: u32) -> Option<Vec<u8>> {
        let &(oldest, _) = self.fresh.first()?;
        let expected = self.next.unwrap_or(oldest);
        let distance = |number: u16| number.wrapping_sub(expected).cast_signed();
        self.fresh.sort_by_key(|&(number, _)| distance(number));
        self.fresh.dedup_by_key(|&mut (number, _)| number);
        let (&(first, reference), &(last, _)) = (self.fresh.first()?, self.fresh.last()?);
        // Packets between two reports that never came are told as missing.
        let first = if distance(first) < 0 { first } else { expected };
        let count = last.wrapping_sub(first).wrapping_add(1);
        self.next = Some(last.wrapping_add(1));
        if count > MOST {
            self.fresh.clear();
            return None;
        }
        let reference = reference.div_euclid(TICKS_PER_REFERENCE);
        let report = self.write([own, source], first, count, reference);
        self.reports = self.reports.wrapping_add(1);
        self.fresh.clear();
        Some(report)
    }

    fn write(&self, [own, source]: [u32; 2], first: u16, count: u16, reference: i64) -> Vec<u8> {
        let mut report = vec![0x8f, 205, 0, 0];
        report.extend(own.to_be_bytes());
        report.extend(source.to_be_bytes());
        report.extend(first.to_be_bytes());
        report.extend(count.to_be_bytes());
        report.extend(&reference.to_be_bytes()[5..]);
        report.push(self.reports);

        let mut deltas = Vec::with_capacity(usize::from(count));
        let mut symbols = Vec::with_capacity(usize::from(count) + PER_CHUNK);
        let mut at = reference * TICKS_PER_REFERENCE;
        let mut arrivals = self.fresh.iter().peekable();
        for offset in 0..count {
            let number = first.wrapping_add(offset);
            let Some(&(_, ticks)) = arrivals.next_if(|&&(known, _)| known == number) else {
                symbols.push(0_u16);
                continue;
            };
            let delta = ticks - at;
            at = ticks;
            if let Ok(small) = u8::try_from(delta) {
                symbols.push(1);
                deltas.push(small);
            } else {
                symbols.push(2);
                let large = delta.clamp(i16::MIN.into(), i16::MAX.into());
                deltas.extend(&large.to_be_bytes()[6..]);
            }
        }
        for chunk in symbols.chunks(PER_CHUNK) {
            let placed = chunk.iter().zip((0..PER_CHUNK).rev());
            let bits = placed
                .map(|(symbol, place)| symbol << (2 * place))
                .sum::<u16>();
            report.extend((0xc000 | bits).to_be_bytes());
        }
        report.extend(deltas);
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
}

#[cfg(test)]
#[expect(
    clippy::unusual_byte_groupings,
    reason = "grouped as the fields of a chunk are"
)]
mod tests {
    use super::*;

    const MS: u64 = 4;

    fn noted(packets: &[(u16, u64)]) -> Arrivals {
        let mut arrivals = Arrivals::default();
        for &(number, ticks) in packets {
            arrivals.note(number, Duration::from_micros(ticks * 250));
        }
        arrivals
    }

    #[test]
    fn what_came_is_told_with_its_time_and_what_did_not_as_missing() {
        let mut arrivals = noted(&[
            (65_534, 256 * 9 + 8),
            (65_535, 256 * 9 + 8),
            (1, 256 * 9 + 12),
        ]);
        let report = arrivals.report(1, 2).expect("something came");
        assert_eq!(report[..4], [0xaf, 205, 0, 6], "padded");
        assert_eq!(report[12..16], [0xff, 0xfe, 0, 4], "four from 65,534 on");
        assert_eq!(report[16..20], [0, 0, 9, 0], "reference and number");
        // Small, small, missing, small; then the deltas.
        assert_eq!(report[20..22], 0b11_01_01_00_01_000000_u16.to_be_bytes());
        assert_eq!(report[22..], [8, 0, 4, 0, 0, 3]);
        assert_eq!(arrivals.report(1, 2), None, "nothing new");
    }

    #[test]
    fn the_next_report_begins_where_the_last_ended_and_a_long_pause_takes_two_bytes() {
        let mut arrivals = noted(&[(7, 0)]);
        arrivals.report(1, 2).expect("something came");
        arrivals.note(9, Duration::from_millis(640));
        arrivals.note(10, Duration::from_millis(640 + 100));
        let report = arrivals.report(1, 2).expect("something came");
        assert_eq!(report[12..16], [0, 8, 0, 3], "8 is told as missing");
        assert_eq!(report[16..20], [0, 0, 10, 1]);
        assert_eq!(report[20..22], 0b11_00_01_10_00000000_u16.to_be_bytes());
        let [high, low] = u16::try_from(100 * MS).unwrap().to_be_bytes();
        assert_eq!(report[22..25], [0, high, low]);
    }
}
