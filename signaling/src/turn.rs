//! Credentials for an outside TURN server, good for a day: user names that say when they end, and passwords that only
//! whoever shares the secret can make ("A REST API for access to TURN services", draft-uberti-behave-turn-rest; coturn's
//! `use-auth-secret`). Pure.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use baton_protocol::IceServer;

/// How long credentials are good, in seconds: a relay stays in use as long as the leg, and cannot be told new ones.
const LIFE: u64 = 24 * 3600;

/// How often everybody is told new ones, for the relays they use next.
pub(crate) const RENEW: Duration = Duration::from_secs(LIFE / 4);

/// A TURN server and the secret that it shares with this service.
#[derive(Clone, PartialEq, Eq)]
pub struct Turn {
    urls: Vec<String>,
    secret: String,
}

impl Turn {
    /// `urls` as `turn:turn.example.org:3478` or `turns:..`; `secret` is coturn's `static-auth-secret`.
    pub fn new(urls: Vec<String>, secret: String) -> Self {
        Self { urls, secret }
    }

    /// What somebody called `user` is told at `now_s` (seconds since 1970).
    pub(crate) fn server(&self, user: &str, now_s: u64) -> IceServer {
        let username = format!("{}:{user}", now_s + LIFE);
        // The protocol says SHA-1; as HMAC it is not broken.
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.secret.as_bytes());
        let credential = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
        IceServer {
            urls: self.urls.clone(),
            username: Some(username),
            credential: Some(credential),
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_end_after_a_day_and_are_those_that_coturn_computes() {
        let urls = vec!["turn:turn.example.org".to_owned()];
        let turn = Turn::new(urls.clone(), "north star of the tests".to_owned());
        let server = turn.server("p7", 1_800_000_000);
        assert_eq!(server.urls, urls);
        assert_eq!(server.username.as_deref(), Some("1800086400:p7"));
        assert_eq!(
            server.credential.as_deref(),
            Some("ZaivYkmHV0d2rahUQ7ICoZjCMrU=")
        );
        assert!(!format!("{turn:?}").contains("north"));
    }
}
