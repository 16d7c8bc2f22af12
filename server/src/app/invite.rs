//! Tokens made by the program itself: invitations, and the token of a host that has the service's secret.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use baton_protocol::{Grants, RoomId};
use baton_server::link::Credential;
use baton_signaling::{JoinToken, Token};

use super::cli::Invocation;
use super::config::Config;

/// The token that `baton token` writes.
pub(crate) fn mint(config: &Config, invocation: &Invocation) -> anyhow::Result<String> {
    let Some(secret) = &config.secret else {
        bail!("an invitation is signed with the secret of the service");
    };
    let invitation = &invocation.invitation;
    let room: RoomId = invitation.room.parse().context("--room")?;
    let grants = match invitation.is_listener {
        true => Grants {
            subscribe: true,
            chat: true,
            ..Grants::default()
        },
        false => Grants::talk(),
    };
    let issued_at = seconds_since_1970();
    let token = JoinToken {
        subject: format!("invitation-{:016x}", rand::random::<u64>()),
        token_id: None,
        room,
        name: invitation.name.clone(),
        grants: Grants {
            moderate: invitation.is_moderator,
            ..grants
        },
        issued_at,
        expires_at: issued_at + invitation.hours * 3600,
    };
    Ok(secret.mint(&Token::Join(token)))
}

/// How a host shows who it is: by the token or file that was configured, or by tokens made from the secret.
pub(crate) fn host_credential(config: &Config) -> anyhow::Result<Credential> {
    if let Some(token) = &config.host_token {
        return Ok(Credential::Fixed(token.clone()));
    }
    if let Some(file) = &config.host_token_file {
        return Ok(Credential::File(file.clone()));
    }
    let Some(secret) = &config.secret else {
        bail!("a host needs host_token, or the secret of the signaling service");
    };
    Ok(Credential::Signed {
        secret: secret.clone(),
        subject: config.name.clone(),
    })
}

fn seconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(|since| since.as_secs()).unwrap_or_default()
}
