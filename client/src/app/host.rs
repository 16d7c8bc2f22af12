//! `baton-client host --standalone`: a call on this computer, for the people around and without anything else.
//!
//! Does not own: what serves the call (`baton_server::standalone`). What is said about it is in `words`.

use std::io::{IsTerminal, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use baton_client::view::Size;
use baton_client::{Call, CallEvent, Invite, Plan};
use baton_protocol::RoomId;
use baton_server::standalone::Setup;
use baton_server::{Standalone, StopSignals};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Outcome;
use super::cli::Send;
use super::report::Shape;
use super::source::Sending;
use words::{News, Ready};

mod keep;
mod qr;
mod words;

#[derive(Debug, clap::Args)]
pub(crate) struct Host {
    /// Without any server: this computer is all there is
    #[arg(long, required = true)]
    pub(crate) standalone: bool,
    /// The call, the last part of its link: 1 to 64 of a-z, 0-9, - and _
    #[arg(long, default_value = "call")]
    pub(crate) room: RoomId,
    /// Your name: the computer is called after you, and so is what you send from files
    #[arg(long, env = OWNER, default_value = "Somebody")]
    pub(crate) name: String,
    /// Listen on one address instead of on all of this computer's
    #[arg(long, value_name = "IP")]
    pub(crate) listen: Option<IpAddr>,
    /// Port of the page (TCP); 0 takes a free one
    #[arg(long, default_value_t = 7880)]
    pub(crate) port: u16,
    /// Port of picture and sound (UDP and TCP); 0 takes a free one
    #[arg(long, default_value_t = 7881)]
    pub(crate) media_port: u16,
    /// Make another certificate; browsers that know the old one warn again
    #[arg(long)]
    pub(crate) new_certificate: bool,
    /// Where the certificate is kept [default: baton/certificate.pem in your folder for programs' state]
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// One JSON object per line on stdout instead of text for people
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) send: Send,
}

impl Host {
    pub(crate) fn shape(&self) -> Shape {
        if self.json { Shape::Json } else { Shape::Text }
    }

    fn certificate(&self) -> anyhow::Result<PathBuf> {
        let file = self.certificate.clone();
        let file = file.or_else(|| Some(baton_client::folder::state()?.join("certificate.pem")));
        file.context("there is no folder for the certificate; say where with --certificate FILE")
    }
}

/// Carries the call until a signal comes.
pub(super) async fn until_stopped(host: &Host, shape: Shape) -> anyhow::Result<Outcome> {
    let mut sending = Sending::read(&host.send)?;
    let mut signals = StopSignals::new().context("cannot listen for signals")?;
    let title = format!("{}'s computer", host.name);
    let now = SystemTime::now();
    let certificate = keep::certificate(&host.certificate()?, &title, host.new_certificate, now)?;
    let setup = Setup {
        room: host.room.clone(),
        name: title,
        address: host.listen,
        port: host.port,
        media_port: host.media_port,
        certificate,
    };
    let running = Standalone::start(setup).await;
    let running = running.context("this computer cannot carry a call")?;
    let ready = Ready::of(&running, now);
    match shape {
        Shape::Json => say(&serde_json::to_string(&ready).context("not JSON")?)?,
        Shape::Text | Shape::View => say(&ready.text(std::io::stdout().is_terminal()))?,
    }
    let mut own = own_media(host, &ready, &mut sending)?;
    let mut news = News::default();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = signals.next() => break,
            _ = look.tick() => {
                let people = running.participants().await;
                if let Some(line) = news.look(people, shape == Shape::Json) {
                    say(&line)?;
                }
            }
            event = next(&mut own), if own.is_some() => match event {
                Some(CallEvent::Over(ending)) => {
                    tracing::warn!(?ending, "what is sent from this computer is not in the call any more");
                    own = None;
                }
                Some(event) => tracing::debug!(?event, "own media"),
                None => own = None,
            },
        }
    }
    if let Some(call) = own {
        leave(call).await;
    }
    running.stop().await;
    Ok(Outcome::Left)
}

/// Joins the call as any guest does, to send what the flags name.
fn own_media(host: &Host, ready: &Ready, sending: &mut Sending) -> anyhow::Result<Option<Call>> {
    let publications = sending.publications();
    if publications.is_empty() {
        return Ok(None);
    }
    let link = ready.invites.first().context("there is no address")?;
    let invite: Invite = link.parse().context("cannot read the own link")?;
    let call = Call::join(Plan {
        trust: invite.trust(),
        invite,
        name: host.name.clone(),
        token: None,
        watch: Size {
            width: 1,
            height: 1,
        },
        audio_slots: 0,
        video_slots: 0,
        publications,
        frames: None,
        hosting: None,
        uses_server: false,
        computer: String::new(),
        owner: None,
    });
    sending.play();
    Ok(Some(call))
}

async fn next(call: &mut Option<Call>) -> Option<CallEvent> {
    match call {
        Some(call) => call.next().await,
        None => None,
    }
}

async fn leave(mut call: Call) {
    call.leave();
    let goodbye = async { while call.next().await.is_some() {} };
    // Everybody is sent away next, which is as good.
    let _ = timeout(GOODBYE, goodbye).await;
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}").context("cannot write to stdout")?;
    stdout.flush().context("cannot write to stdout")
}

/// How often it is looked who is there.
const LOOK: Duration = Duration::from_millis(500);
const GOODBYE: Duration = Duration::from_millis(500);

/// Who is logged in.
const OWNER: &str = if cfg!(windows) { "USERNAME" } else { "USER" };

pub(super) const EXAMPLES: &str = "\
Examples:
  baton-client host --standalone
      A call for the people in this room: show them the code in the terminal, and open your own link in your browser
  baton-client host --standalone --room rehearsal --name Ana --video slides.ivf
      The same, and a picture from a file

Whoever has a link can come in; links are new with each start. The certificate is kept, so that browsers ask once.
A firewall on this computer has to let in TCP 7880, and UDP and TCP 7881.

Exit codes are those of `baton-client --help`.";
