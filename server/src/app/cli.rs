//! The command line, made from the table of settings.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::settings::{Command, SETTINGS, Setting};

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub(crate) command: Command,
    /// `--config`.
    pub(crate) file: Option<PathBuf>,
    /// Tell programs when ready.
    pub(crate) json: bool,
    /// Settings of environment and flags, flags winning: which, what, and where it was said.
    pub(crate) given: Vec<(&'static Setting, String, String)>,
    /// Only for [`Command::Token`].
    pub(crate) invitation: Invitation,
}

/// What `baton token` shall write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Invitation {
    pub(crate) room: String,
    pub(crate) name: Option<String>,
    pub(crate) hours: u64,
    pub(crate) is_moderator: bool,
    pub(crate) is_listener: bool,
}

/// Reads the arguments of the process; a wrong one ends it with code 2.
pub(crate) fn parse() -> Invocation {
    Invocation::from(&command_line().get_matches())
}

impl From<&ArgMatches> for Invocation {
    fn from(top: &ArgMatches) -> Self {
        let (command, matches) = match top.subcommand() {
            Some(("signaling", matches)) => (Command::Signaling, matches),
            Some(("host", matches)) => (Command::Host, matches),
            Some(("token", matches)) => (Command::Token, matches),
            Some((_, matches)) => (Command::Config, matches),
            None => (Command::All, top),
        };
        let invitation = match command {
            Command::Token => invitation(matches),
            Command::All | Command::Signaling | Command::Host | Command::Config => {
                Invitation::default()
            }
        };
        Self {
            command,
            file: matches.get_one("config").cloned(),
            json: matches!(matches.try_get_one("json"), Ok(Some(true))),
            given: given(command, matches),
            invitation,
        }
    }
}

fn given(command: Command, matches: &ArgMatches) -> Vec<(&'static Setting, String, String)> {
    let known = SETTINGS
        .iter()
        .filter(|setting| setting.commands.contains(&command));
    let given = known.filter_map(|setting| {
        let value: &String = matches.get_one(setting.key)?;
        let is_flag = matches.value_source(setting.key)? == ValueSource::CommandLine;
        let origin = if is_flag {
            format!("--{}", setting.flag())
        } else {
            setting.env.to_owned()
        };
        Some((setting, value.clone(), origin))
    });
    given.collect()
}

fn invitation(matches: &ArgMatches) -> Invitation {
    Invitation {
        room: matches
            .get_one::<String>("room")
            .cloned()
            .unwrap_or_default(),
        name: matches.get_one("participant").cloned(),
        hours: matches.get_one("hours").copied().unwrap_or(DEFAULT_HOURS),
        is_moderator: matches.get_flag("moderator"),
        is_listener: matches.get_flag("listen"),
    }
}

pub(crate) fn command_line() -> clap::Command {
    let command = |command, name| with_settings(clap::Command::new(name), command);
    let all = with_settings(clap::Command::new("baton"), Command::All)
        .version(env!("CARGO_PKG_VERSION"))
        .about("Video calls whose server can be handed to anyone in the room")
        .long_about(ABOUT)
        .after_help(EXAMPLES)
        .args_conflicts_with_subcommands(true)
        .arg(json());
    let signaling = command(Command::Signaling, "signaling")
        .about("Only rooms, tokens and the page; hosts link to it from elsewhere")
        .arg(json());
    let host = command(Command::Host, "host")
        .about("Only media, for a signaling service elsewhere")
        .arg(json());
    let token = command(Command::Token, "token")
        .about("Write an invitation: a token that lets somebody into one room")
        .args(invitation_args());
    let config = command(Command::Config, "config").about(
        "Show the configuration in force and where each value comes from; secrets are masked",
    );
    all.subcommands([signaling, host, token, config])
}

fn with_settings(command: clap::Command, which: Command) -> clap::Command {
    let file = Arg::new("config")
        .long("config")
        .env("BATON_CONFIG")
        .hide_env_values(true)
        .value_name("PATH")
        .value_parser(value_parser!(PathBuf))
        .help("Configuration file [default: baton.toml, if it is there]")
        .help_heading("Configuration");
    let known = SETTINGS
        .iter()
        .filter(|setting| setting.commands.contains(&which));
    command.arg(file).args(known.map(arg))
}

fn arg(setting: &'static Setting) -> Arg {
    let help = match setting.default {
        "" => setting.help.to_owned(),
        default => format!("{} [default: {default}]", setting.help),
    };
    Arg::new(setting.key)
        .long(setting.flag())
        .env(setting.env)
        .hide_env_values(true)
        .value_name(setting.value)
        .help(help)
        .help_heading(setting.heading)
}

fn json() -> Arg {
    Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Write one JSON line on stdout when ready, nothing else")
        .help_heading("Running")
}

fn invitation_args() -> [Arg; 5] {
    let arg = |name, help| {
        Arg::new(name)
            .long(name)
            .help(help)
            .help_heading("Invitation")
    };
    [
        arg("room", "The one room")
            .required(true)
            .value_name("ROOM"),
        Arg::new("participant")
            .long("name")
            .value_name("TEXT")
            .help("Name of the participant; they cannot change it")
            .help_heading("Invitation"),
        arg("hours", "How long it is valid, 1 to 24 [default: 1]")
            .value_name("N")
            .value_parser(value_parser!(u64).range(1..=24)),
        arg("moderator", "May mute and remove others").action(ArgAction::SetTrue),
        arg("listen", "May only watch and listen").action(ArgAction::SetTrue),
    ]
}

const DEFAULT_HOURS: u64 = 1;

const ABOUT: &str = "Video calls whose server can be handed to anyone in the room.

Without a command everything runs in one process: the page, signaling, and a host that forwards media. As it starts it \
listens on this computer only, and anybody on it may join.

Each setting is a flag, an environment variable and a key of baton.toml; the flag wins over the variable, the variable \
over the file.";

const EXAMPLES: &str = "Examples:
  baton
      A call on this computer: open http://localhost:7880
  baton --http 0.0.0.0:7880 --media '[::]:7881' --tls self-signed --secret-file secret.txt
      In the local network, by HTTPS. Make a secret with: openssl rand -base64 32 > secret.txt
  baton token --room daily --name Ana --secret-file secret.txt
      Let Ana into the room \"daily\"
  baton signaling --http 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem --secret-file secret.txt
  baton host --signaling https://call.example.org --media '[::]:7881' --announce 203.0.113.7 --secret-file secret.txt
      Signaling and media on two computers";

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(line: &str) -> Invocation {
        let words = line.split_whitespace();
        Invocation::from(&command_line().try_get_matches_from(words).unwrap())
    }

    #[test]
    fn the_command_line_is_consistent() {
        command_line().debug_assert();
    }

    #[test]
    fn each_command_is_told_by_its_name_and_none_means_everything() {
        let cases = [
            ("baton --json", Command::All),
            ("baton signaling", Command::Signaling),
            (
                "baton host --signaling http://localhost:7880",
                Command::Host,
            ),
            ("baton token --room daily", Command::Token),
            ("baton config", Command::Config),
        ];
        for (line, command) in cases {
            assert_eq!(invocation(line).command, command, "{line}");
        }
        assert!(invocation("baton --json").json);
    }

    #[test]
    fn a_flag_knows_where_it_was_said() {
        let given = invocation("baton --log-format json").given;
        let found = given
            .iter()
            .find(|(setting, ..)| setting.key == "log_format")
            .unwrap();
        assert_eq!(
            (found.1.as_str(), found.2.as_str()),
            ("json", "--log-format")
        );
    }

    #[test]
    fn an_invitation_has_a_room_a_name_and_an_end() {
        let line = "baton token --room daily --name Ana --hours 3 --moderator";
        let expected = Invitation {
            room: "daily".to_owned(),
            name: Some("Ana".to_owned()),
            hours: 3,
            is_moderator: true,
            is_listener: false,
        };
        assert_eq!(invocation(line).invitation, expected);
        let endless =
            command_line().try_get_matches_from("baton token --room a --hours 25".split(' '));
        assert!(endless.is_err());
    }

    #[test]
    fn help_names_every_setting_with_its_variable_and_default() {
        let mut commands = command_line();
        let help = commands.render_long_help().to_string();
        for setting in SETTINGS
            .iter()
            .filter(|s| s.commands.contains(&Command::All))
        {
            assert!(
                help.contains(&format!("--{}", setting.flag())),
                "{}",
                setting.key
            );
            assert!(help.contains(setting.env), "{}", setting.key);
            assert!(help.contains(setting.default), "{}", setting.key);
        }
    }
}
