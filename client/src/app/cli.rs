//! The command line.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::str::FromStr;

use baton_client::caps::{Caps, ledger};
use baton_client::invite::Secret;
use baton_client::view::Size;
use baton_client::{Consent, Invite, Plan};
use baton_server::link::Trust;
use clap::{Parser, Subcommand};

use super::report::Shape;

/// A participant of Baton calls in a terminal.
#[derive(Debug, Parser)]
#[command(version, after_help = CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Join a room, receive what the others show and send test media or files, until Ctrl-C
    #[command(after_help = EXAMPLES)]
    Join(Join),
    /// Put a computer into a room for somebody who sits at the page: without media, as "Ana's computer"
    #[command(after_help = AGENT)]
    Agent(Agent),
    /// Carry a call for the people around, without any server or internet: page, signaling and media on this computer
    #[command(after_help = super::host::EXAMPLES)]
    Host(super::host::Host),
}

/// Where to, as whom, and how it is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Entry {
    /// Invite link of the room
    #[arg(value_name = "URL")]
    pub(crate) invite: Invite,
    /// Join token, where the service asks for one; wins over the link's `?token=`
    #[arg(long, env = "BATON_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// PEM file with certificates of private authorities that may have signed that of the service; the public ones are known
    #[arg(long, env = "BATON_CA", value_name = "PATH")]
    pub(crate) ca: Option<PathBuf>,
    /// One JSON object per line on stdout instead of a view for people
    #[arg(long, conflicts_with = "plain")]
    pub(crate) json: bool,
    /// Lines of text, also where stdout is a terminal
    #[arg(long)]
    pub(crate) plain: bool,
    /// Leave after so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
    #[command(flatten)]
    pub(crate) hosting: Hosting,
}

/// Carrying the call for the others. Never without being asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Hosting {
    /// Let this computer carry the call for the others where that is better than the server. They then see its address, and it theirs
    #[arg(long)]
    pub(crate) allow_hosting: bool,
    /// Most that may be sent for others, in kilobits per second
    #[arg(long, value_name = "KBPS", requires = "allow_hosting")]
    pub(crate) host_uplink: Option<u64>,
    /// Most participants that are served at a time, the own included
    #[arg(long, value_name = "COUNT", requires = "allow_hosting")]
    pub(crate) host_guests: Option<u16>,
    /// Most that may be sent for others in a calendar month, in megabytes
    #[arg(long, value_name = "MB", requires = "allow_hosting")]
    pub(crate) host_monthly: Option<u64>,
    /// Also while this computer runs from its battery
    #[arg(long, requires = "allow_hosting")]
    pub(crate) host_on_battery: bool,
    /// Also where somebody may pay by the byte
    #[arg(long, requires = "allow_hosting")]
    pub(crate) host_on_metered: bool,
    /// What the others call this computer; by default by the name of who sits there
    #[arg(long, value_name = "NAME", requires = "allow_hosting")]
    pub(crate) computer: Option<String>,
}

impl Hosting {
    fn consent(&self) -> Option<Consent> {
        let caps = Caps {
            uplink_bps: self.host_uplink.map(|kbps| kbps.saturating_mul(1000)),
            guests: self.host_guests,
            monthly_bytes: self.host_monthly.map(|mb| mb.saturating_mul(1_000_000)),
            is_battery_allowed: self.host_on_battery,
            is_metered_allowed: self.host_on_metered,
        };
        self.allow_hosting.then(|| Consent {
            caps,
            ledger: ledger::default_file(),
        })
    }

    /// What this computer is called where somebody of this name sits.
    pub(crate) fn computer_of(&self, owner: &str) -> String {
        self.computer
            .clone()
            .unwrap_or_else(|| format!("{owner}'s computer"))
    }
}

impl Entry {
    /// A plan without media; the name is the caller's to fill in.
    ///
    /// # Errors
    /// If the file of authorities cannot be read.
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        let trust = match &self.ca {
            Some(file) => Trust::with_authorities(file)?,
            None => self.invite.trust(),
        };
        Ok(Plan {
            trust,
            invite: self.invite.clone(),
            name: String::new(),
            token: self.token.clone().map(Secret),
            watch: Size {
                width: 1280,
                height: 720,
            },
            audio_slots: 0,
            video_slots: 0,
            publications: Vec::new(),
            frames: None,
            hosting: self.hosting.consent(),
            computer: String::new(),
            owner: None,
            uses_server: false,
        })
    }

    /// How the call is shown.
    pub(crate) fn shape(&self) -> Shape {
        if self.json {
            Shape::Json
        } else if self.plain || !std::io::stdout().is_terminal() {
            Shape::Text
        } else {
            Shape::View
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Join {
    #[command(flatten)]
    pub(crate) entry: Entry,
    /// Name to show, 1 to 128 bytes
    #[arg(long, default_value = "baton-client")]
    pub(crate) name: String,
    /// Never connect to the computer of another participant: the server passes everything on
    #[arg(long)]
    pub(crate) use_server: bool,
    /// Size of the large picture: the shared screen or the active speaker. The others are a quarter of it
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1280x720", value_parser = size)]
    pub(crate) watch: Size,
    /// Most pictures received at a time
    #[arg(long, value_name = "COUNT", default_value_t = 9, value_parser = clap::value_parser!(u8).range(0..=63))]
    pub(crate) pictures: u8,
    #[command(flatten)]
    pub(crate) send: Send,
    /// Record what comes into this folder, a file per track: .ivf, .h264 or .ogg, and recording.jsonl that says what is what
    #[arg(long, value_name = "FOLDER")]
    pub(crate) record: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Agent {
    #[command(flatten)]
    pub(crate) entry: Entry,
    /// Whose computer this is, as they are called in the call
    #[arg(long = "for", value_name = "NAME")]
    pub(crate) owner: String,
}

/// What is sent. Without any of these nothing is.
#[derive(Debug, clap::Args)]
pub(crate) struct Send {
    /// Send the media that ships with the program: a picture in three sizes that shows its own number, and a hum
    #[arg(long, conflicts_with_all = ["video", "audio"])]
    pub(crate) test_media: bool,
    /// Send a picture, over and over: VP8, VP9 or AV1 in .ivf, or H.264 in .h264 (Annex-B, constrained baseline)
    #[arg(long, value_name = "FILE")]
    pub(crate) video: Option<PathBuf>,
    /// Send a sound, over and over: Opus in .ogg or .opus
    #[arg(long, value_name = "FILE")]
    pub(crate) audio: Option<PathBuf>,
    /// Pictures per second of an .h264 file, which does not say it
    #[arg(long, value_name = "RATE", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=120))]
    pub(crate) fps: u32,
}

fn size(text: &str) -> Result<Size, String> {
    let number = |text| u16::from_str(text).ok().filter(|number| *number > 0);
    let (width, height) = text.split_once('x').ok_or(SIZE)?;
    Ok(Size {
        width: number(width).ok_or(SIZE)?,
        height: number(height).ok_or(SIZE)?,
    })
}

const SIZE: &str = "a size is WIDTHxHEIGHT in pixels, as 1280x720";

const EXAMPLES: &str = "\
Examples:
  baton-client join http://localhost:7880/r/standup --name Ana
  baton-client join https://call.example.org/r/standup --token \"$TOKEN\" --watch 640x360
  baton-client join http://localhost:7880/r/standup --test-media
  baton-client join http://localhost:7880/r/standup --video talk.ivf --audio talk.ogg
  baton-client join http://localhost:7880/r/standup --record monday --seconds 3600
  baton-client join http://localhost:7880/r/standup --allow-hosting --host-uplink 20000 --host-monthly 50000
  baton-client join http://localhost:7880/r/standup --json --seconds 60 | jq 'select(.event == \"stats\")'

Files with a keyframe each second or two can be watched from anywhere:
  ffmpeg -i talk.mp4 -c:v libvpx -b:v 1M -g 30 -auto-alt-ref 0 talk.ivf -c:a libopus talk.ogg

A computer that is offered (--allow-hosting) carries the call only where its line and processor are better than what the server
gives, hands it back when it runs from its battery, its line fills or the program ends, and at once when b is pressed.

Log lines go to stderr; BATON_LOG=debug shows more. A lost connection comes back by itself.

Exit codes are those of `baton-client --help`.";

const AGENT: &str = "\
Example:
  baton-client agent https://call.example.org/r/standup --for Ana

With --allow-hosting it can carry the call for the others, who then see its address:
  baton-client agent https://call.example.org/r/standup --for Ana --allow-hosting --host-uplink 20000

Exit codes are those of `baton-client --help`.";

const CODES: &str = "\
Exit codes:
  0  left: Ctrl-C, SIGTERM, or the time of --seconds ran out
  1  the program failed
  2  the command line is wrong
  3  signaling refused: token, name, room or protocol version
  4  removed from the room
  5  the time of --seconds ran out before the room was joined";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_has_the_documented_defaults() {
        Cli::command().debug_assert();
        let cli =
            Cli::try_parse_from(["baton-client", "join", "http://localhost:7880/r/a"]).unwrap();
        let Command::Join(join) = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(
            join.watch,
            Size {
                width: 1280,
                height: 720
            }
        );
        assert_eq!((join.entry.json, join.entry.seconds), (false, None));
    }

    #[test]
    fn an_agent_says_whose_computer_it_is() {
        let words = ["baton-client", "agent", "http://localhost:7880/r/a"];
        assert!(Cli::try_parse_from(words).is_err());
        let cli = Cli::try_parse_from(words.into_iter().chain(["--for", "Ana"])).unwrap();
        assert!(matches!(cli.command, Command::Agent(agent) if agent.owner == "Ana"));
    }

    #[test]
    fn nobody_carries_a_call_without_having_allowed_it() {
        let words = ["baton-client", "join", "http://localhost:7880/r/a"];
        let hosting = |more: &[&str]| {
            let words = words.iter().chain(more);
            let Command::Join(join) = Cli::try_parse_from(words).ok()?.command else {
                return None;
            };
            Some(join.entry.hosting.consent())
        };
        assert!(hosting(&[]).is_some_and(|consent| consent.is_none()));
        assert!(
            hosting(&["--host-uplink", "5000"]).is_none(),
            "a cap alone allows nothing"
        );
        let consent = hosting(&["--allow-hosting", "--host-uplink", "5000"]).flatten();
        let caps = consent.expect("consent").caps;
        assert_eq!(caps.uplink_bps, Some(5_000_000));
        assert!(!caps.is_battery_allowed && !caps.is_metered_allowed);
    }

    #[test]
    fn what_is_no_size_is_refused_with_an_example() {
        for text in ["", "1280", "0x720", "1280x", "70000x1", "-1x1"] {
            assert_eq!(size(text), Err(SIZE.to_owned()), "{text}");
        }
    }
}
