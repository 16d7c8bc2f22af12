//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use baton_client::Invite;
use baton_client::view::Size;
use clap::{Parser, Subcommand};

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
}

#[derive(Debug, clap::Args)]
pub(crate) struct Join {
    /// Invite link of the room
    #[arg(value_name = "URL")]
    pub(crate) invite: Invite,
    /// Name to show, 1 to 128 bytes
    #[arg(long, default_value = "baton-client")]
    pub(crate) name: String,
    /// Join token, where the service asks for one; wins over the link's `?token=`
    #[arg(long, env = "BATON_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// PEM file with certificates of private authorities that may have signed that of the service; the public ones are known
    #[arg(long, env = "BATON_CA", value_name = "PATH")]
    pub(crate) ca: Option<PathBuf>,
    /// Size of the large picture: the shared screen or the active speaker. The others are a quarter of it
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1280x720", value_parser = size)]
    pub(crate) watch: Size,
    /// Most pictures received at a time
    #[arg(long, value_name = "COUNT", default_value_t = 9, value_parser = clap::value_parser!(u8).range(0..=63))]
    pub(crate) pictures: u8,
    #[command(flatten)]
    pub(crate) send: Send,
    /// One JSON object per line on stdout instead of text for people
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave after so many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
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
  baton-client join http://localhost:7880/r/standup --json --for 60 | jq 'select(.event == \"stats\")'

Files with a keyframe each second or two can be watched from anywhere:
  ffmpeg -i talk.mp4 -c:v libvpx -b:v 1M -g 30 -auto-alt-ref 0 talk.ivf -c:a libopus talk.ogg

Log lines go to stderr; BATON_LOG=debug shows more. A lost connection comes back by itself.

Exit codes are those of `baton-client --help`.";

const CODES: &str = "\
Exit codes:
  0  left: Ctrl-C, SIGTERM, or the time of --for ran out
  1  the program failed
  2  the command line is wrong
  3  signaling refused: token, name, room or protocol version
  4  removed from the room
  5  the time of --for ran out before the room was joined";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_has_the_documented_defaults() {
        Cli::command().debug_assert();
        let cli =
            Cli::try_parse_from(["baton-client", "join", "http://localhost:7880/r/a"]).unwrap();
        let Command::Join(join) = cli.command;
        assert_eq!(
            join.watch,
            Size {
                width: 1280,
                height: 720
            }
        );
        assert_eq!((join.json, join.seconds), (false, None));
    }

    #[test]
    fn what_is_no_size_is_refused_with_an_example() {
        for text in ["", "1280", "0x720", "1280x", "70000x1", "-1x1"] {
            assert_eq!(size(text), Err(SIZE.to_owned()), "{text}");
        }
    }
}
