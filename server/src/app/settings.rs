//! The table of everything that can be set: one row is a key of `baton.toml`, an environment variable and a flag.

/// What the program is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Signaling, host and page in one process.
    All,
    /// Signaling and page.
    Signaling,
    /// A host for a signaling service elsewhere.
    Host,
    /// Make an invitation.
    Token,
    /// Show the configuration.
    Config,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// In `baton.toml`; the flag is the same with `-`.
    pub(crate) key: &'static str,
    pub(crate) env: &'static str,
    /// What kind of value, for `--help`.
    pub(crate) value: &'static str,
    pub(crate) help: &'static str,
    /// As it would be written; empty for none.
    pub(crate) default: &'static str,
    pub(crate) heading: &'static str,
    pub(crate) commands: &'static [Command],
    pub(crate) is_secret: bool,
}

impl Setting {
    /// Name on the command line, without the dashes.
    pub(crate) fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    pub(crate) fn named(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }
}

/// The name that was probably meant.
pub(crate) fn closest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.map(|name| (distance(wrong, name), name));
    let (distance, name) = near.min_by_key(|&(distance, _)| distance)?;
    (distance <= 1 + wrong.len() / 4).then_some(name)
}

/// Edits (insert, delete, replace) from one text to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        for (b, cell) in to.chars().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

use Command::{All, Config, Host, Signaling, Token};

const ADDRESSES: &str = "Addresses";
const SECURITY: &str = "Who may come in";
const TLS: &str = "HTTPS";
const LINK: &str = "Link to signaling";
const REST: &str = "Running";

const fn row(
    key: &'static str,
    env: &'static str,
    value: &'static str,
    default: &'static str,
    heading: &'static str,
    commands: &'static [Command],
    help: &'static str,
) -> Setting {
    Setting {
        key,
        env,
        value,
        help,
        default,
        heading,
        commands,
        is_secret: false,
    }
}

const fn secret(setting: Setting) -> Setting {
    Setting {
        is_secret: true,
        ..setting
    }
}

/// All of them, in the order of `--help`.
#[rustfmt::skip]
pub(crate) static SETTINGS: &[Setting] = &[
    row("http", "BATON_HTTP", "ADDR", "127.0.0.1:7880", ADDRESSES, &[All, Signaling, Config],
        "Page, signaling and REST (TCP). Port 0 takes a free one"),
    row("media", "BATON_MEDIA", "ADDR", "127.0.0.1:7881", ADDRESSES, &[All, Host, Config],
        "Sound and pictures (UDP). [::]:7881 means every address, IPv4 and IPv6"),
    row("media_tcp", "BATON_MEDIA_TCP", "on|off", "on", ADDRESSES, &[All, Host, Config],
        "The same port by TCP, for participants in networks without UDP"),
    row("admin", "BATON_ADMIN", "ADDR", "127.0.0.1:7882", ADDRESSES, &[All, Signaling, Host, Config],
        "/livez, /readyz and /metrics (TCP). Keep it private"),
    row("announce", "BATON_ANNOUNCE", "IP,..", "", ADDRESSES, &[All, Host, Config],
        "Addresses under which participants reach `media`, with a port where a router forwards another one. \
         Not set: those of the network interfaces"),
    secret(row("secret", "BATON_SECRET", "TEXT", "", SECURITY, &[All, Signaling, Host, Token, Config],
        "Signs and verifies tokens (HS256); 32 bytes or more. Needed as soon as others can reach Baton. \
         Not set on loopback: anybody may join")),
    row("secret_file", "BATON_SECRET_FILE", "PATH", "", SECURITY, &[All, Signaling, Host, Token, Config],
        "File with the secret, instead of `secret`"),
    row("eddsa_keys", "BATON_EDDSA_KEYS", "PATH,..", "", SECURITY, &[All, Signaling, Config],
        "PEM files with Ed25519 public keys whose tokens are accepted too"),
    row("allowed_origins", "BATON_ALLOWED_ORIGINS", "URL,..", "", SECURITY, &[All, Signaling, Config],
        "Other pages that may use this service, as https://example.org"),
    row("tls", "BATON_TLS", "MODE", "off", TLS, &[All, Signaling, Config],
        "off, self-signed or files. Browsers give camera and microphone only to HTTPS and localhost"),
    row("tls_cert", "BATON_TLS_CERT", "PATH", "", TLS, &[All, Signaling, Config],
        "Certificate chain (PEM); read again when it changes, and on SIGHUP"),
    row("tls_key", "BATON_TLS_KEY", "PATH", "", TLS, &[All, Signaling, Config],
        "Private key of the certificate (PEM)"),
    row("signaling", "BATON_SIGNALING", "URL", "", LINK, &[Host, Config],
        "Signaling service to work for, as https://call.example.org"),
    secret(row("host_token", "BATON_HOST_TOKEN", "TOKEN", "", LINK, &[Host, Config],
        "Token for that service. Not set: one is made from the secret, which must then be the same on both sides")),
    row("host_token_file", "BATON_HOST_TOKEN_FILE", "PATH", "", LINK, &[Host, Config],
        "File with that token, instead of `host_token`; read again for every connection, so that it can be renewed"),
    row("ca", "BATON_CA", "PATH", "", LINK, &[Host, Config],
        "PEM file with certificates of private authorities that may have signed the service's; the public ones are known"),
    row("name", "BATON_NAME", "TEXT", "central", LINK, &[All, Host, Config],
        "What people see as the name of this host"),
    row("workers", "BATON_WORKERS", "N", "", REST, &[All, Host, Config],
        "Threads that forward media. Not set: one for each core, at most 4"),
    row("uplink", "BATON_UPLINK", "KBPS", "", REST, &[All, Host, Config],
        "What the line of this host carries towards all participants together, in kb/s; sound goes first, then everybody's share. \
         Forwards with one worker. Not set: no limit is known"),
    row("hosting", "BATON_HOSTING", "POLICY", "auto", REST, &[All, Signaling, Config],
        "What carries a new room: central (only servers), auto (a participant's computer where that is better by a margin) or \
         prefer-participant. Only computers whose owners offer them are ever asked"),
    row("hosting_rules", "BATON_HOSTING_RULES", "RULES", "", REST, &[All, Signaling, Config],
        "When a call moves by itself, as \"seasoned=60 margin=25 patience=10 tenure=120 back_off=600 probe_every=60 cpu_free=50 jitter=12\" \
         (seconds, points, percent of a core, milliseconds), which is the default; for tests"),
    row("ice_servers", "BATON_ICE_SERVERS", "URL,..", "", REST, &[All, Signaling, Config],
        "STUN and TURN servers for participants; with credentials only in baton.toml. A computer that carries a call uses the first \
         turn: address by UDP"),
    row("turn_urls", "BATON_TURN_URLS", "URL,..", "", REST, &[All, Signaling, Config],
        "TURN server for participants behind strict firewalls, as turn:turn.example.org:3478, which is also used (by UDP) by computers \
         that carry a call; needs turn_secret"),
    secret(row("turn_secret", "BATON_TURN_SECRET", "TEXT", "", REST, &[All, Signaling, Config],
        "Secret shared with that server (coturn: use-auth-secret, static-auth-secret); participants get passwords good for a day")),
    row("log", "BATON_LOG", "FILTER", "info", REST, &[All, Signaling, Host, Config],
        "What to log, as in RUST_LOG: info, warn, baton_server=debug,.."),
    row("log_format", "BATON_LOG_FORMAT", "FORMAT", "pretty", REST, &[All, Signaling, Host, Config],
        "pretty or json"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_flag_and_variable_of_a_setting_are_one_name() {
        for setting in SETTINGS {
            assert_eq!(setting.env, format!("BATON_{}", setting.key.to_uppercase()));
            assert!(setting.commands.contains(&Config), "{}", setting.key);
        }
    }

    #[test]
    fn a_typing_error_finds_what_was_meant_and_nonsense_finds_nothing() {
        let keys = || SETTINGS.iter().map(|setting| setting.key);
        for (wrong, meant) in [
            ("secert", "secret"),
            ("htpp", "http"),
            ("worker", "workers"),
            ("anounce", "announce"),
        ] {
            assert_eq!(closest(wrong, keys()), Some(meant));
        }
        assert_eq!(closest("frobnicate", keys()), None);
        assert_eq!((distance("", "abc"), distance("kitten", "sitting")), (3, 3));
    }
}
