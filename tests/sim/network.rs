//! One direction of a line: delay, jitter, loss, bursts of loss, reordering, duplication, damage, and a bottleneck with a queue.
//!
//! Every line has a random generator of its own, so that what happens on one line does not change another.

use std::time::{Duration, Instant};

use baton_tests::link;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What a line is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weather {
    pub(crate) delay: Duration,
    /// Added at random, in order.
    pub(crate) jitter: Duration,
    /// Share of datagrams lost, each on its own.
    pub(crate) loss: f64,
    pub(crate) burst: Option<Burst>,
    /// Bursts by time instead of by packet.
    pub(crate) gusts: Option<link::Burst>,
    /// Share of datagrams that are overtaken by what is sent within the next 20 ms.
    pub(crate) reorder: f64,
    pub(crate) duplicate: f64,
    /// Share of datagrams with one bit flipped.
    pub(crate) corrupt: f64,
    /// Bits per second of the bottleneck.
    pub(crate) rate: Option<u64>,
    /// A datagram that would wait longer at the bottleneck is dropped.
    pub(crate) queue: Duration,
    /// Nothing passes.
    pub(crate) is_out: bool,
}

/// Loss in bursts (Gilbert-Elliott): chances per datagram to enter and leave the bad state, and the loss in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Burst {
    pub(crate) enter: f64,
    pub(crate) leave: f64,
    pub(crate) loss: f64,
}

impl Weather {
    /// 20 ms and nothing else.
    pub(crate) const CLEAN: Self = Self {
        delay: Duration::from_millis(20),
        jitter: Duration::ZERO,
        loss: 0.0,
        burst: None,
        gusts: None,
        reorder: 0.0,
        duplicate: 0.0,
        corrupt: 0.0,
        rate: None,
        queue: Duration::from_millis(200),
        is_out: false,
    };

    /// Loses this share of datagrams at random.
    pub(crate) const fn losing(share: f64) -> Self {
        Self {
            loss: share,
            ..Self::CLEAN
        }
    }

    /// A Wi-Fi at the other end of the flat.
    pub(crate) const WIFI: Self = Self {
        jitter: Duration::from_millis(8),
        burst: Some(Burst {
            enter: 0.002,
            leave: 0.4,
            loss: 0.35,
        }),
        reorder: 0.002,
        ..Self::CLEAN
    };

    /// A telephone in a train.
    pub(crate) const CELLULAR: Self = Self {
        delay: Duration::from_millis(45),
        jitter: Duration::from_millis(30),
        burst: Some(Burst {
            enter: 0.01,
            leave: 0.2,
            loss: 0.5,
        }),
        reorder: 0.005,
        duplicate: 0.002,
        rate: Some(6_000_000),
        ..Self::CLEAN
    };

    /// Everything that can go wrong does, now and then.
    pub(crate) const STORM: Self = Self {
        delay: Duration::from_millis(60),
        jitter: Duration::from_millis(40),
        loss: 0.03,
        reorder: 0.05,
        duplicate: 0.03,
        corrupt: 0.01,
        rate: Some(2_000_000),
        queue: Duration::from_millis(60),
        ..Self::CELLULAR
    };
}

/// Everything that can go wrong in a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Loss,
    Burst,
    Jitter,
    Reorder,
    Duplicate,
    Corrupt,
    Overflow,
    Outage,
    Crash,
    SocketLost,
    SignalingRestart,
    NewStream,
    Kick,
}

impl Fault {
    pub(crate) const ALL: [Self; 13] = [
        Self::Loss,
        Self::Burst,
        Self::Jitter,
        Self::Reorder,
        Self::Duplicate,
        Self::Corrupt,
        Self::Overflow,
        Self::Outage,
        Self::Crash,
        Self::SocketLost,
        Self::SignalingRestart,
        Self::NewStream,
        Self::Kick,
    ];
}

/// How often each fault struck.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults([u64; Fault::ALL.len()]);

impl Faults {
    pub(crate) fn note(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    pub(crate) fn count(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

/// One direction of one participant's line.
pub(crate) struct Link {
    weather: Weather,
    rng: StdRng,
    is_bad: bool,
    gusts: link::Gusts,
    free_at: Instant,
    newest_arrival: Instant,
    /// Has anything been lost on it so far?
    pub(crate) has_lost: bool,
}

impl Link {
    pub(crate) fn new(weather: Weather, seed: u64, now: Instant) -> Self {
        Self {
            weather,
            rng: StdRng::seed_from_u64(seed),
            is_bad: false,
            gusts: link::Gusts::default(),
            free_at: now,
            newest_arrival: now,
            has_lost: false,
        }
    }

    /// How long a datagram that is sent now waits at the bottleneck.
    pub(crate) fn waiting(&self, now: Instant) -> Duration {
        self.free_at.saturating_duration_since(now)
    }

    pub(crate) fn weather(&self) -> Weather {
        self.weather
    }

    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Carries a datagram: when it arrives, none, one or two times. Its bytes may be damaged.
    pub(crate) fn carry(
        &mut self,
        bytes: &mut [u8],
        now: Instant,
        faults: &mut Faults,
    ) -> [Option<Instant>; 2] {
        let Some(sent) = self.pass(bytes.len(), now, faults) else {
            self.has_lost = true;
            return [None, None];
        };
        let weather = self.weather;
        if self.rng.random_bool(weather.corrupt) {
            let bit = self.rng.random_range(0..bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            self.has_lost = true;
            faults.note(Fault::Corrupt);
        }
        let mut arrival = sent + weather.delay;
        if weather.jitter > Duration::ZERO {
            faults.note(Fault::Jitter);
            arrival += self.random_time(weather.jitter);
        }
        if self.rng.random_bool(weather.reorder) {
            faults.note(Fault::Reorder);
            arrival = arrival.max(self.newest_arrival)
                + Duration::from_millis(1)
                + self.random_time(Duration::from_millis(19));
        } else {
            arrival = arrival.max(self.newest_arrival);
            self.newest_arrival = arrival;
        }
        let again = self.rng.random_bool(weather.duplicate).then(|| {
            faults.note(Fault::Duplicate);
            arrival + self.random_time(Duration::from_millis(10))
        });
        [Some(arrival), again]
    }

    /// How long a message takes that is repeated until it arrives (data channel, WebSocket), in order.
    pub(crate) fn carry_reliably(&mut self, now: Instant) -> Option<Instant> {
        if self.weather.is_out {
            return None;
        }
        let mut arrival = now + self.weather.delay;
        while self.rng.random_bool(self.weather.loss.min(0.5)) {
            arrival += self.weather.delay * 2 + Duration::from_millis(100);
        }
        self.newest_arrival = self.newest_arrival.max(arrival);
        Some(self.newest_arrival)
    }

    /// When a datagram leaves the bottleneck, if it does.
    fn pass(&mut self, len: usize, now: Instant, faults: &mut Faults) -> Option<Instant> {
        let weather = self.weather;
        if weather.is_out {
            faults.note(Fault::Outage);
            return None;
        }
        if self.rng.random_bool(weather.loss) {
            faults.note(Fault::Loss);
            return None;
        }
        if let Some(burst) = weather.burst {
            let turns = if self.is_bad {
                burst.leave
            } else {
                burst.enter
            };
            self.is_bad ^= self.rng.random_bool(turns);
            if self.is_bad && self.rng.random_bool(burst.loss) {
                faults.note(Fault::Burst);
                return None;
            }
        }
        if let Some(gusts) = weather.gusts
            && self.gusts.takes(&gusts, now, &mut self.rng)
        {
            faults.note(Fault::Burst);
            return None;
        }
        let Some(rate) = weather.rate else {
            return Some(now);
        };
        let start = self.free_at.max(now);
        if start - now > weather.queue {
            faults.note(Fault::Overflow);
            return None;
        }
        // 28 bytes of IP and UDP header.
        self.free_at = start + Duration::from_micros((len as u64 + 28) * 8 * 1_000_000 / rate);
        Some(self.free_at)
    }

    fn random_time(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.rng.random_range(0..=most))
    }
}
