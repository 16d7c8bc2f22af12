//! What the owner of a computer allows it to do for others, and when that is over.
//!
//! Pure but for `system`, which asks the computer about itself, and the ledger's file. Does not own: carrying a call. Nothing is
//! allowed that was not asked for: whoever has no [`Caps`] hosts nothing.

use std::fmt;

use serde::Serialize;

pub mod guard;
pub mod ledger;
pub mod system;

/// What is allowed. Absent means no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Most that may be sent, in bits per second.
    pub uplink_bps: Option<u64>,
    /// Most participants that are served at a time, the owner included.
    pub guests: Option<u16>,
    /// Most that may be sent in a calendar month, in bytes.
    pub monthly_bytes: Option<u64>,
    /// Also while it runs from its battery?
    pub is_battery_allowed: bool,
    /// Also where somebody may pay by the byte?
    pub is_metered_allowed: bool,
}

/// How a computer is powered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// From the wall, or it has no battery.
    Mains,
    /// From its battery, which holds so many percent.
    Battery(u8),
    /// It does not say.
    #[default]
    Unknown,
}

/// Does somebody pay by the byte?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metering {
    /// Yes, or probably.
    Metered,
    /// No, or probably not.
    Free,
    /// It does not say.
    #[default]
    Unknown,
}

/// How things are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Power of the computer.
    pub power: Power,
    /// Price of its line.
    pub metering: Metering,
    /// Bytes that were sent for others in this calendar month.
    pub sent_this_month: u64,
    /// Bits per second that are sent for others now.
    pub sent_bps: u64,
    /// Participants that are served now.
    pub guests: u16,
}

/// Why a computer may not host now, or not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "objection", rename_all = "snake_case")]
pub enum Objection {
    /// It runs from its battery.
    Battery {
        /// What the battery holds.
        percent: u8,
    },
    /// The battery is nearly empty, whatever is allowed.
    BatteryLow {
        /// What the battery holds.
        percent: u8,
    },
    /// The line costs by the byte.
    Metered,
    /// The month's bytes are used up, or will be within minutes.
    MonthlyBytes {
        /// Sent.
        sent: u64,
        /// Allowed.
        cap: u64,
    },
    /// More is sent than is allowed.
    Uplink {
        /// Bits per second that are sent.
        bps: u64,
        /// Bits per second that are allowed.
        cap: u64,
    },
    /// More participants than are allowed.
    Guests {
        /// Served.
        guests: u16,
        /// Allowed.
        cap: u16,
    },
}

impl Caps {
    /// What speaks against beginning to host now. Stricter than [`Caps::objections`]: what begins shall last.
    pub fn objections_to_begin(&self, now: &Conditions) -> Vec<Objection> {
        let mut objections = self.objections(now);
        if let (Power::Battery(percent), true) = (now.power, self.is_battery_allowed)
            && (BATTERY_LOW..BATTERY_TO_BEGIN).contains(&percent)
        {
            objections.push(Objection::BatteryLow { percent });
        }
        if let Some(cap) = self.monthly_bytes
            && now.sent_this_month < cap
            && now.sent_this_month >= cap - cap / TENTH
        {
            let sent = now.sent_this_month;
            objections.push(Objection::MonthlyBytes { sent, cap });
        }
        objections
    }

    /// What speaks against going on.
    pub fn objections(&self, now: &Conditions) -> Vec<Objection> {
        let power = match now.power {
            Power::Battery(percent) if !self.is_battery_allowed => {
                Some(Objection::Battery { percent })
            }
            Power::Battery(percent) if percent < BATTERY_LOW => {
                Some(Objection::BatteryLow { percent })
            }
            Power::Battery(_) | Power::Mains | Power::Unknown => None,
        };
        let is_metered = now.metering == Metering::Metered && !self.is_metered_allowed;
        let metered = is_metered.then_some(Objection::Metered);
        let (sent, bps, guests) = (now.sent_this_month, now.sent_bps, now.guests);
        let month = self.monthly_bytes.filter(|cap| sent >= *cap);
        let month = month.map(|cap| Objection::MonthlyBytes { sent, cap });
        // A keyframe is a burst; what counts is more than that.
        let uplink = self
            .uplink_bps
            .filter(|cap| bps > cap.saturating_add(*cap / TENTH));
        let uplink = uplink.map(|cap| Objection::Uplink { bps, cap });
        let crowd = self.guests.filter(|cap| guests > *cap);
        let crowd = crowd.map(|cap| Objection::Guests { guests, cap });
        let all = [power, metered, month, uplink, crowd];
        all.into_iter().flatten().collect()
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Battery { percent } => write!(f, "it runs from its battery ({percent} %)"),
            Self::BatteryLow { percent } => write!(f, "its battery holds only {percent} %"),
            Self::Metered => f.write_str("its line costs by the byte"),
            Self::MonthlyBytes { sent, cap } => {
                let (sent, cap) = (sent / 1_000_000, cap / 1_000_000);
                write!(f, "{sent} of this month's {cap} MB are sent")
            }
            Self::Uplink { bps, cap } => {
                let (rate, cap) = (bps / 1000, cap / 1000);
                write!(f, "it sends {rate} kb/s where {cap} are allowed")
            }
            Self::Guests { guests, cap } => {
                write!(f, "it serves {guests} participants where {cap} are allowed")
            }
        }
    }
}

/// Percent below which no battery is used for others.
const BATTERY_LOW: u8 = 20;

/// Percent a battery needs so that it is worth beginning.
const BATTERY_TO_BEGIN: u8 = 40;

const TENTH: u64 = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn conditions(power: Power) -> Conditions {
        Conditions {
            power,
            metering: Metering::Free,
            ..Conditions::default()
        }
    }

    #[test]
    fn a_computer_on_mains_and_a_free_line_may_host_and_one_on_battery_may_not_unless_allowed() {
        let caps = Caps::default();
        assert_eq!(caps.objections_to_begin(&conditions(Power::Mains)), []);
        let battery = conditions(Power::Battery(80));
        assert_eq!(
            caps.objections(&battery),
            [Objection::Battery { percent: 80 }]
        );
        let caps = Caps {
            is_battery_allowed: true,
            ..caps
        };
        assert_eq!(caps.objections_to_begin(&battery), []);
        let low = Objection::BatteryLow { percent: 30 };
        let battery = conditions(Power::Battery(30));
        assert_eq!(caps.objections_to_begin(&battery), [low]);
        assert_eq!(caps.objections(&battery), []);
        let empty = Objection::BatteryLow { percent: 19 };
        assert_eq!(caps.objections(&conditions(Power::Battery(19))), [empty]);
    }

    #[test]
    fn each_cap_is_named_with_its_figures() {
        let caps = Caps {
            uplink_bps: Some(5_000_000),
            guests: Some(4),
            monthly_bytes: Some(10_000_000_000),
            ..Caps::default()
        };
        let now = Conditions {
            power: Power::Mains,
            metering: Metering::Metered,
            sent_this_month: 10_000_000_000,
            sent_bps: 6_000_000,
            guests: 5,
        };
        let said: Vec<String> = caps
            .objections(&now)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            said,
            [
                "its line costs by the byte",
                "10000 of this month's 10000 MB are sent",
                "it sends 6000 kb/s where 5000 are allowed",
                "it serves 5 participants where 4 are allowed",
            ]
        );
    }

    #[test]
    fn the_last_tenth_of_a_month_is_for_calls_that_run() {
        let caps = Caps {
            monthly_bytes: Some(1000),
            ..Caps::default()
        };
        let mut now = conditions(Power::Mains);
        now.sent_this_month = 899;
        assert_eq!(caps.objections_to_begin(&now), []);
        now.sent_this_month = 900;
        assert_eq!(caps.objections_to_begin(&now).len(), 1);
        assert_eq!(caps.objections(&now), []);
    }

    fn any_conditions() -> impl Strategy<Value = Conditions> {
        let power = prop_oneof![
            Just(Power::Mains),
            (0_u8..=100).prop_map(Power::Battery),
            Just(Power::Unknown)
        ];
        let metering = prop_oneof![
            Just(Metering::Metered),
            Just(Metering::Free),
            Just(Metering::Unknown)
        ];
        (power, metering, any::<u64>(), any::<u64>(), any::<u16>()).prop_map(
            |(power, metering, sent_this_month, sent_bps, guests)| Conditions {
                power,
                metering,
                sent_this_month,
                sent_bps,
                guests,
            },
        )
    }

    proptest! {
        #[test]
        fn what_may_begin_may_go_on(
            now in any_conditions(),
            uplink_bps in any::<Option<u32>>(),
            guests in any::<Option<u16>>(),
            monthly_bytes in any::<Option<u64>>(),
            is_battery_allowed: bool,
            is_metered_allowed: bool,
        ) {
            let uplink_bps = uplink_bps.map(u64::from);
            let caps = Caps { uplink_bps, guests, monthly_bytes, is_battery_allowed, is_metered_allowed };
            let (begin, go_on) = (caps.objections_to_begin(&now), caps.objections(&now));
            prop_assert!(go_on.iter().all(|objection| begin.contains(objection)));
        }
    }
}
