//! What was sent for others this month: a number that outlives the program.
//!
//! A month is a calendar month in UTC. Times come in by argument.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Bytes of the current month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    month: Month,
    bytes: u64,
}

/// A calendar month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Month {
    year: i64,
    /// 1 to 12.
    month: u8,
}

impl Month {
    /// The month of a moment, in UTC.
    pub fn of(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let days = seconds.as_secs() / 86_400;
        // Counted from 1 March of the year 0, so that a leap day ends a year; 400 years have 146,097 days.
        let days = days + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // Months from March on repeat 31 30 31 30 31 with 153 days.
        let month = (5 * day + 2) / 153;
        let (month, carry) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        Self {
            year: i64::try_from(400 * era + year + carry).unwrap_or(i64::MAX),
            month: u8::try_from(month).expect("twelve at most"),
        }
    }
}

impl Ledger {
    /// Counts what was sent. A new month begins at zero; a clock that was set back changes nothing.
    pub fn add(&mut self, bytes: u64, now: SystemTime) {
        self.turn(now);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Sent this month.
    pub fn sent(&mut self, now: SystemTime) -> u64 {
        self.turn(now);
        self.bytes
    }

    fn turn(&mut self, now: SystemTime) {
        let month = Month::of(now);
        if month > self.month {
            *self = Self { month, bytes: 0 };
        }
    }

    /// Reads a ledger; nothing was sent where there is no file.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else: then nobody knows what was sent.
    pub fn load(file: &Path) -> io::Result<Self> {
        match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes it beside and then over the old one, so that a crash leaves one of the two.
    ///
    /// # Errors
    /// When writing fails.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let fresh = file.with_extension("new");
        std::fs::write(&fresh, serde_json::to_vec(self)?)?;
        std::fs::rename(fresh, file)
    }
}

/// Where a ledger lies by default: the system's place for what a program knows.
pub fn default_file() -> Option<PathBuf> {
    Some(crate::folder::state()?.join("hosted.json"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let month = |seconds| {
            let Month { year, month } = Month::of(at(seconds));
            (year, month)
        };
        assert_eq!(month(0), (1970, 1));
        assert_eq!(month(951_782_400), (2000, 2));
        assert_eq!(month(951_868_800), (2000, 3));
        assert_eq!(month(1_709_164_800), (2024, 2));
        assert_eq!(month(1_798_761_599), (2026, 12));
        assert_eq!(month(1_798_761_600), (2027, 1));
    }

    #[test]
    fn a_new_month_begins_at_zero_and_a_clock_set_back_forgets_nothing() {
        let mut ledger = Ledger::default();
        ledger.add(70, at(1_798_761_599));
        ledger.add(30, at(1_798_000_000));
        assert_eq!(ledger.sent(at(1_798_761_599)), 100);
        assert_eq!(ledger.sent(at(0)), 100);
        assert_eq!(ledger.sent(at(1_798_761_600)), 0);
    }

    #[test]
    fn it_is_the_same_after_the_program_was_ended_and_what_is_no_ledger_is_refused() {
        let name = format!("baton-ledger-{:016x}", rand::random::<u64>());
        let folder = std::env::temp_dir().join(name);
        let file = folder.join("hosted.json");
        assert_eq!(Ledger::load(&file).unwrap(), Ledger::default());
        let mut ledger = Ledger::default();
        ledger.add(123, at(1_798_761_600));
        ledger.save(&file).unwrap();
        assert_eq!(Ledger::load(&file).unwrap(), ledger);
        std::fs::write(&file, "{").unwrap();
        assert!(Ledger::load(&file).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
