//! The host's token: as it was given, or made anew for every connection, because a token lives for a day at most.

use std::io;
use std::path::PathBuf;

use baton_signaling::{HostToken, MAX_TOKEN_LIFE, Secret, Token};

/// Where the token comes from.
#[derive(Clone)]
pub enum Credential {
    /// Given once: good until it expires.
    Fixed(String),
    /// Read before every connection.
    File(PathBuf),
    /// Signed before every connection with the secret that signaling has too.
    Signed {
        /// Of signaling.
        secret: Secret,
        /// Which host: it takes its number again only under the same name.
        subject: String,
    },
}

impl Credential {
    /// The token of this moment (seconds since 1970).
    pub(super) fn token(&self, now_s: u64) -> io::Result<String> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    let message = format!("cannot read the host token {}: {error}", path.display());
                    io::Error::new(error.kind(), message)
                })?;
                Ok(text.trim().to_owned())
            }
            Self::Signed { secret, subject } => Ok(secret.mint(&Token::Host(HostToken {
                subject: subject.clone(),
                owner: None,
                issued_at: now_s,
                expires_at: now_s + MAX_TOKEN_LIFE.as_secs(),
            }))),
        }
    }
}

#[cfg(test)]
mod tests {
    use baton_signaling::{Keys, TokenError};

    use super::*;

    #[test]
    fn a_host_that_has_the_secret_never_runs_out_of_tokens() {
        const DAY: u64 = 24 * 3600;
        let secret = Secret::new([7; 32]).unwrap();
        let keys = Keys::default().with_secret(&secret).unwrap();
        let credential = Credential::Signed {
            secret,
            subject: "sfu".to_owned(),
        };
        let start = 1_800_000_000;
        let first = credential.token(start).unwrap();
        let later = start + 3 * DAY;
        assert_eq!(keys.verify(&first, later), Err(TokenError::Expired));
        let second = credential.token(later).unwrap();
        assert!(matches!(
            keys.verify(&second, later),
            Ok(Token::Host(host)) if host.subject == "sfu"
        ));
    }
}
