//! The configuration in force: defaults, then `baton.toml`, then environment, then flags; all mistakes told at once.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use baton_protocol::{HostingPolicy, IceServer};
use baton_server::link::Trust;
use baton_server::{Announced, HostConfig};
use baton_signaling::{ElectionRules, Secret};

use super::cli::Invocation;
use super::file;
use super::settings::{Command, SETTINGS, Setting, closest};

/// Everything that can be set.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) http: SocketAddr,
    pub(crate) media: SocketAddr,
    pub(crate) media_tcp: bool,
    pub(crate) admin: SocketAddr,
    pub(crate) announce: Vec<Announced>,
    pub(crate) secret: Option<Secret>,
    pub(crate) eddsa_keys: Vec<Vec<u8>>,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) tls: TlsMode,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) signaling: Option<String>,
    pub(crate) host_token: Option<String>,
    pub(crate) host_token_file: Option<PathBuf>,
    pub(crate) trust: Trust,
    pub(crate) name: String,
    pub(crate) workers: NonZeroUsize,
    /// kb/s.
    pub(crate) uplink: Option<u64>,
    pub(crate) hosting: HostingPolicy,
    pub(crate) hosting_rules: ElectionRules,
    pub(crate) ice_servers: Vec<IceServer>,
    pub(crate) turn_urls: Vec<String>,
    pub(crate) turn_secret: Option<String>,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    /// What was set, as it was written, and where; secrets are left out.
    pub(crate) said: BTreeMap<&'static str, (String, String)>,
}

/// How HTTP is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsMode {
    Off,
    SelfSigned,
    Files,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Pretty,
    Json,
}

/// A value as it was found.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    List(Vec<String>),
    IceServers(Vec<IceServer>),
}

/// One mistake, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) origin: String,
    pub(crate) message: String,
}

/// The configuration cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    Wrong(Vec<Problem>),
    /// It would let strangers in.
    Unsafe(String),
}

impl Default for Config {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            http: loopback(7880),
            media: loopback(7881),
            media_tcp: true,
            admin: loopback(7882),
            announce: Vec::new(),
            secret: None,
            eddsa_keys: Vec::new(),
            allowed_origins: Vec::new(),
            tls: TlsMode::Off,
            tls_cert: None,
            tls_key: None,
            signaling: None,
            host_token: None,
            host_token_file: None,
            trust: Trust::default(),
            name: "central".to_owned(),
            workers: HostConfig::default_workers(),
            uplink: None,
            hosting: HostingPolicy::default(),
            hosting_rules: ElectionRules::default(),
            ice_servers: Vec::new(),
            turn_urls: Vec::new(),
            turn_secret: None,
            log: "info".to_owned(),
            log_format: LogFormat::Pretty,
            said: BTreeMap::new(),
        }
    }
}

/// Everything that was said, put together.
pub(crate) fn load(invocation: &Invocation) -> Result<Config, Unusable> {
    let mut problems = Vec::new();
    let mut config = Config::default();
    let (text, name) = file_text(invocation.file.as_deref(), &mut problems);
    let (entries, wrong) = file::read(&name, &text);
    problems.extend(wrong);
    for entry in entries {
        config.set(entry.setting, &entry.value, entry.origin, &mut problems);
    }
    for (setting, text, origin) in &invocation.given {
        config.set(
            setting,
            &Value::Text(text.clone()),
            origin.clone(),
            &mut problems,
        );
    }
    problems.extend(mistyped(
        std::env::vars_os().filter_map(|(key, _)| key.into_string().ok()),
    ));
    config.check_together(&mut problems);
    match problems.is_empty() {
        true => Ok(config),
        false => Err(Unusable::Wrong(problems)),
    }
}

fn file_text(path: Option<&Path>, problems: &mut Vec<Problem>) -> (String, String) {
    let is_asked_for = path.is_some();
    let path = path.unwrap_or(Path::new("baton.toml"));
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => return (text, name),
        Err(error) if is_asked_for || error.kind() != std::io::ErrorKind::NotFound => {
            let message = format!("cannot be read: {error}");
            problems.push(Problem {
                origin: name.clone(),
                message,
            });
        }
        Err(_) => {}
    }
    (String::new(), name)
}

/// Variables that are nearly one of ours. Others that start with `BATON_` may be somebody else's (Kubernetes makes
/// some from the name of a service).
fn mistyped(names: impl Iterator<Item = String>) -> Vec<Problem> {
    let known = || SETTINGS.iter().map(|s| s.env).chain(["BATON_CONFIG"]);
    let ours = names.filter(|name| name.starts_with("BATON_") && known().all(|env| env != name));
    let problem = |name: String| {
        let meant = closest(
            name.trim_start_matches("BATON_"),
            known().map(|env| env.trim_start_matches("BATON_")),
        )?;
        let message = format!("there is no such setting; did you mean `BATON_{meant}`?");
        Some(Problem {
            origin: name,
            message,
        })
    };
    ours.filter_map(problem).collect()
}

impl Config {
    fn set(
        &mut self,
        setting: &'static Setting,
        value: &Value,
        origin: String,
        problems: &mut Vec<Problem>,
    ) {
        match self.apply(setting, value) {
            Ok(()) => {
                // Only one of a pair can be meant; the later one wins.
                let rival = match setting.key {
                    "secret" => "secret_file",
                    "secret_file" => "secret",
                    "host_token" => "host_token_file",
                    "host_token_file" => "host_token",
                    _ => "",
                };
                self.said.remove(rival);
                self.said
                    .insert(setting.key, (value.written(setting.is_secret), origin));
            }
            Err(message) => problems.push(Problem { origin, message }),
        }
    }

    fn apply(&mut self, setting: &Setting, value: &Value) -> Result<(), String> {
        let key = setting.key;
        match key {
            "http" => self.http = address(key, value)?,
            "media" => self.media = address(key, value)?,
            "media_tcp" => {
                self.media_tcp = one_of(key, value, &[("on", true), ("off", false)])?;
            }
            "admin" => self.admin = address(key, value)?,
            "announce" => self.announce = parsed(key, value)?,
            "secret" => self.secret = Some(secret(text(key, value)?.as_bytes())?),
            "secret_file" => {
                self.secret = Some(secret(contents(text(key, value)?)?.trim_ascii_end())?)
            }
            "eddsa_keys" => {
                let contents = value.list().into_iter().map(|path| contents(&path));
                self.eddsa_keys = contents.collect::<Result<_, _>>()?;
            }
            "allowed_origins" => self.allowed_origins = value.list(),
            "tls" => {
                self.tls = one_of(
                    key,
                    value,
                    &[
                        ("off", TlsMode::Off),
                        ("self-signed", TlsMode::SelfSigned),
                        ("files", TlsMode::Files),
                    ],
                )?
            }
            "tls_cert" => self.tls_cert = Some(text(key, value)?.into()),
            "tls_key" => self.tls_key = Some(text(key, value)?.into()),
            "signaling" => self.signaling = Some(text(key, value)?.to_owned()),
            "host_token" => {
                self.host_token = Some(text(key, value)?.to_owned());
                self.host_token_file = None;
            }
            "host_token_file" => {
                contents(text(key, value)?)?;
                self.host_token_file = Some(text(key, value)?.into());
                self.host_token = None;
            }
            "ca" => {
                let file = Path::new(text(key, value)?);
                self.trust = Trust::with_authorities(file).map_err(|error| error.to_string())?;
            }
            "name" => self.name = text(key, value)?.to_owned(),
            "workers" => {
                let number = text(key, value)?
                    .parse()
                    .ok()
                    .filter(|n| *n <= MOST_WORKERS);
                self.workers = number
                    .ok_or_else(|| format!("`workers` is a number from 1 to {MOST_WORKERS}"))?;
            }
            "uplink" => {
                let number = text(key, value)?.parse().ok();
                let number = number.filter(|n| (LEAST_UPLINK..=MOST_UPLINK).contains(n));
                self.uplink = Some(number.ok_or_else(|| {
                    format!("`uplink` is a number of kb/s from {LEAST_UPLINK} to {MOST_UPLINK}")
                })?);
            }
            "hosting" => {
                self.hosting = one_of(
                    key,
                    value,
                    &[
                        ("central", HostingPolicy::Central),
                        ("auto", HostingPolicy::Auto),
                        ("prefer-participant", HostingPolicy::PreferParticipant),
                    ],
                )?
            }
            "hosting_rules" => self.hosting_rules = text(key, value)?.parse()?,
            "ice_servers" => self.ice_servers = value.ice_servers(),
            "turn_urls" => {
                let urls = value.list();
                let is_turn = |url: &String| url.starts_with("turn:") || url.starts_with("turns:");
                if let Some(wrong) = urls.iter().find(|url| !is_turn(url)) {
                    return Err(format!(
                        "`{key}` begins with turn: or turns:, not {wrong:?}"
                    ));
                }
                self.turn_urls = urls;
            }
            "turn_secret" => self.turn_secret = Some(text(key, value)?.to_owned()),
            "log" => self.log = text(key, value)?.to_owned(),
            "log_format" => {
                self.log_format = one_of(
                    key,
                    value,
                    &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)],
                )?
            }
            _ => unreachable!("each row of the table is applied here; a test walks them"),
        }
        Ok(())
    }

    fn check_together(&mut self, problems: &mut Vec<Problem>) {
        let has_files = self.tls_cert.is_some() && self.tls_key.is_some();
        if has_files && !self.said.contains_key("tls") {
            self.tls = TlsMode::Files;
        }
        let is_half = self.tls_cert.is_some() != self.tls_key.is_some();
        if is_half || (self.tls == TlsMode::Files && !has_files) {
            let message = "HTTPS from files needs both tls_cert and tls_key".to_owned();
            problems.push(Problem {
                origin: "tls".to_owned(),
                message,
            });
        }
        if self.turn_urls.is_empty() != self.turn_secret.is_none() {
            let message = "a TURN server needs both turn_urls and turn_secret; one with a fixed password belongs into ice_servers".to_owned();
            problems.push(Problem {
                origin: "turn_urls".to_owned(),
                message,
            });
        }
        if self.uplink.is_some() {
            if self.said.contains_key("workers") && self.workers.get() > 1 {
                let message =
                    "an uplink is divided by one worker: leave workers out, or set it to 1";
                problems.push(Problem {
                    origin: "uplink".to_owned(),
                    message: message.to_owned(),
                });
            }
            self.workers = NonZeroUsize::MIN;
        }
        if self.name.is_empty() || self.name.len() > baton_protocol::limits::MAX_NAME {
            let message = "a name has 1 to 128 bytes".to_owned();
            problems.push(Problem {
                origin: "name".to_owned(),
                message,
            });
        }
    }

    /// Is it safe and complete for what is asked?
    pub(crate) fn check(&self, command: Command) -> Result<(), Unusable> {
        let (http, media) = match command {
            Command::All => (Some(self.http), Some(self.media)),
            Command::Signaling => (Some(self.http), None),
            Command::Host => {
                if self.signaling.is_none() {
                    return Err(Unusable::needs(
                        "signaling",
                        "a host works for a signaling service: set signaling to its address, as https://call.example.org",
                    ));
                }
                let has_token = self.host_token.is_some() || self.host_token_file.is_some();
                if !has_token && self.secret.is_none() {
                    return Err(Unusable::needs(
                        "host_token",
                        "the signaling service has to know this host: set host_token, or the same secret as there",
                    ));
                }
                return Ok(());
            }
            Command::Token if self.secret.is_none() => {
                return Err(Unusable::needs(
                    "secret",
                    "an invitation is signed with the secret of the service: set secret or secret_file",
                ));
            }
            Command::Token | Command::Config => return Ok(()),
        };
        let public = [("http", http), ("media", media)]
            .into_iter()
            .find_map(|(key, address)| {
                let address = address.filter(|address| !address.ip().is_loopback())?;
                Some((key, address))
            });
        match public {
            Some((key, address)) if self.secret.is_none() => {
                Err(Unusable::Unsafe(unsafe_text(key, address)))
            }
            _ => Ok(()),
        }
    }

    /// As a file that would say the same, secrets masked.
    pub(crate) fn shown(&self) -> String {
        let line = |setting: &Setting| match self.said.get(setting.key) {
            Some((written, origin)) => format!("{} = {written}  # {origin}\n", setting.key),
            None if setting.default.is_empty() => format!("# {} is not set\n", setting.key),
            None => format!("{} = {:?}  # default\n", setting.key, setting.default),
        };
        SETTINGS.iter().map(line).collect()
    }
}

impl Value {
    fn list(&self) -> Vec<String> {
        match self {
            Self::Text(text) => {
                let items = text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty());
                items.map(str::to_owned).collect()
            }
            Self::List(items) => items.clone(),
            Self::IceServers(servers) => servers
                .iter()
                .flat_map(|server| server.urls.clone())
                .collect(),
        }
    }

    fn ice_servers(&self) -> Vec<IceServer> {
        if let Self::IceServers(servers) = self {
            return servers.clone();
        }
        let server = |url| IceServer {
            urls: vec![url],
            username: None,
            credential: None,
        };
        self.list().into_iter().map(server).collect()
    }

    fn written(&self, is_secret: bool) -> String {
        match self {
            _ if is_secret => "\"***\"".to_owned(),
            Self::Text(text) => format!("{text:?}"),
            // Credentials of TURN servers stay out.
            Self::List(_) | Self::IceServers(_) => format!("{:?}", self.list()),
        }
    }
}

fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str, String> {
    match value {
        Value::Text(text) if !text.is_empty() => Ok(text),
        Value::Text(_) => Err(format!("`{key}` is empty")),
        Value::List(_) | Value::IceServers(_) => Err(format!("`{key}` is one text, not a list")),
    }
}

fn address(key: &str, value: &Value) -> Result<SocketAddr, String> {
    let text = text(key, value)?;
    text.parse().map_err(|_| {
        format!(
            "`{key}` is an IP address with a port, as 127.0.0.1:7880 or [::]:7880, not {text:?}"
        )
    })
}

fn parsed<T: FromStr<Err: fmt::Display>>(key: &str, value: &Value) -> Result<Vec<T>, String> {
    let item = |text: String| {
        text.parse()
            .map_err(|error| format!("{text:?} in `{key}`: {error}"))
    };
    value.list().into_iter().map(item).collect()
}

fn one_of<T: Copy>(key: &str, value: &Value, choices: &[(&str, T)]) -> Result<T, String> {
    let text = text(key, value)?;
    let chosen = choices.iter().find(|(name, _)| *name == text);
    let names = || {
        choices
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    chosen
        .map(|(_, choice)| *choice)
        .ok_or_else(|| format!("`{key}` is one of {}, not {text:?}", names()))
}

fn contents(path: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))
}

fn secret(bytes: &[u8]) -> Result<Secret, String> {
    Secret::new(bytes).map_err(|error| error.to_string())
}

fn unsafe_text(key: &str, address: SocketAddr) -> String {
    format!(
        "Baton does not start: {key} = {address} can be reached by others, and there is no secret, so anybody could open rooms here.

Set a secret of 32 bytes or more. Keep it, for invitations are signed with it:
    openssl rand -base64 32 > baton-secret.txt
    baton --{key} {address} --secret-file baton-secret.txt

(secret_file in baton.toml or BATON_SECRET_FILE do the same.) To try Baton on this computer only, leave http and media on 127.0.0.1."
    )
}

impl Unusable {
    fn needs(key: &str, message: &str) -> Self {
        Self::Wrong(vec![Problem {
            origin: key.to_owned(),
            message: message.to_owned(),
        }])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsafe(text) => f.write_str(text),
            Self::Wrong(problems) => {
                f.write_str("the configuration cannot be used:")?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

/// Least and most that can be said of a line, in kb/s: below, not even sound fits.
const LEAST_UPLINK: u64 = 100;
const MOST_UPLINK: u64 = 100_000_000;

/// More workers than this help nobody.
const MOST_WORKERS: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

#[cfg(test)]
mod tests;
