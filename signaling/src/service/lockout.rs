//! Guessing tokens is slow: an address that shows too many wrong ones within a minute is turned away for the next one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Service;
use super::admission::household;
use super::problem::Problem;

/// Within this time wrong tokens are counted, and for this long nothing more is listened to.
const WINDOW: Duration = Duration::from_secs(60);

/// Addresses that are remembered.
const ADDRESSES: usize = 10_000;

/// Who has shown wrong tokens lately. Loopback is exempt: proxies live there.
#[derive(Debug)]
pub(super) struct Lockout {
    failures: Mutex<HashMap<IpAddr, Failures>>,
    most: u32,
}

/// Of one address. Over the bound it is locked out until the window ends, which began with the last failure.
#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    since: Instant,
}

impl Lockout {
    /// `most` wrong tokens a minute are let pass.
    pub(super) fn new(most: u32) -> Self {
        Self {
            failures: Mutex::default(),
            most,
        }
    }

    /// Somebody has shown a wrong token.
    pub(super) fn note_failure(&self, remote: Option<IpAddr>, now: Instant) {
        let Some(address) = remote.and_then(household) else {
            return;
        };
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES {
            failures.retain(|_, failures| !failures.are_over(now));
        }
        if failures.len() >= ADDRESSES && !failures.contains_key(&address) {
            return;
        }
        let fresh = Failures {
            count: 0,
            since: now,
        };
        let entry = failures.entry(address).or_insert(fresh);
        if entry.are_over(now) {
            *entry = fresh;
        }
        entry.count = entry.count.saturating_add(1);
        if entry.count == self.most {
            entry.since = now;
        }
    }

    /// Is nothing of this address listened to now?
    pub(super) fn is_locked_out(&self, remote: Option<IpAddr>, now: Instant) -> bool {
        let Some(address) = remote.and_then(household) else {
            return false;
        };
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let known = failures.get(&address);
        known.is_some_and(|known| known.count >= self.most && !known.are_over(now))
    }
}

impl Failures {
    fn are_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
    }
}

/// Turns away who is locked out, and counts tokens that were refused over HTTP. Those shown on a WebSocket are counted there.
pub(super) async fn guard_tokens(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Response {
    let remote = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let remote = remote.map(|info| info.0.ip());
    let lockout = &service.inner.lockout;
    let shows_token = request.headers().contains_key(AUTHORIZATION);
    let may_show_one = shows_token || request.headers().contains_key(UPGRADE);
    if may_show_one && lockout.is_locked_out(remote, Instant::now()) {
        let message = "too many wrong tokens from your address; wait a minute";
        let wait = HeaderValue::from_static("60");
        return Problem::new(StatusCode::TOO_MANY_REQUESTS, message)
            .with(RETRY_AFTER, wait)
            .into_response();
    }
    let response = next.run(request).await;
    if shows_token && response.status() == StatusCode::UNAUTHORIZED {
        lockout.note_failure(remote, Instant::now());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wrong_tokens_a_minute_cost_a_minute_and_only_their_own_household() {
        let lockout = Lockout::new(10);
        let remote = |text: &str| Some(text.parse::<IpAddr>().expect("address"));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..9 {
            lockout.note_failure(remote("2001:db8::1"), at(second));
        }
        assert!(!lockout.is_locked_out(remote("2001:db8::1"), at(9)));
        lockout.note_failure(remote("2001:db8::2"), at(50));
        assert!(
            lockout.is_locked_out(remote("2001:db8::3"), at(50)),
            "one /64"
        );
        assert!(!lockout.is_locked_out(remote("2001:db8:0:1::1"), at(50)));
        assert!(lockout.is_locked_out(remote("2001:db8::1"), at(109)));
        assert!(!lockout.is_locked_out(remote("2001:db8::1"), at(110)));
        for second in 0..50 {
            lockout.note_failure(remote("192.0.2.1"), at(7 * second));
            lockout.note_failure(remote("127.0.0.1"), start);
        }
        assert!(
            !lockout.is_locked_out(remote("192.0.2.1"), at(344)),
            "slowly"
        );
        assert!(!lockout.is_locked_out(remote("127.0.0.1"), start));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let lockout = Lockout::new(10);
        let start = Instant::now();
        for n in 0..20_000_u32 {
            lockout.note_failure(Some(IpAddr::from((0x0a00_0000 + n).to_be_bytes())), start);
        }
        assert_eq!(lockout.failures.lock().expect("lock").len(), ADDRESSES);
    }
}
