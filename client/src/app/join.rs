//! `baton-client join`: the loop is a list of what may happen.

use std::future::pending;
use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use baton_client::invite::Secret;
use baton_client::{Call, CallEvent, Plan};
use baton_server::StopSignals;
use baton_server::link::Trust;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::Outcome;
use super::cli::Join;
use super::lines::Lines;
use super::source::Sending;

pub(super) async fn until_over(join: &Join) -> anyhow::Result<Outcome> {
    let trust = match &join.ca {
        Some(file) => Trust::with_authorities(file)?,
        None => Trust::default(),
    };
    let mut sending = Sending::read(&join.send)?;
    let mut call = Call::join(Plan {
        invite: join.invite.clone(),
        name: join.name.clone(),
        token: join.token.clone().map(Secret),
        trust,
        watch: join.watch,
        audio_slots: AUDIO_SLOTS,
        video_slots: join.pictures.into(),
        publications: sending.publications(),
        frames: None,
    });
    sending.play();
    let mut lines = Lines::new(join.json);
    let mut signals = StopSignals::new().context("cannot listen for signals")?;
    let start = Instant::now();
    let end = join
        .seconds
        .map(|seconds| start + Duration::from_secs(seconds));
    let mut ticks = interval_at(start + PERIOD, PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let time_is_up = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => pending().await,
            }
        };
        let said = tokio::select! {
            event = call.next() => match event {
                Some(CallEvent::Over(ending)) => {
                    print(&lines.event(&call, &CallEvent::Over(ending.clone())))?;
                    return Ok(Outcome::from(&ending));
                }
                Some(event) => lines.event(&call, &event),
                None => return Ok(Outcome::Left),
            },
            _ = ticks.tick() => lines.stats(&call, PERIOD),
            () = signals.next() => return leave(call, &mut lines, Outcome::Left).await,
            () = time_is_up => {
                let outcome = if call.room().is_some() { Outcome::Left } else { Outcome::NeverJoined };
                return leave(call, &mut lines, outcome).await;
            }
        };
        print(&said)?;
    }
}

/// Says goodbye, so that the others need not wait for one who does not come back.
async fn leave(mut call: Call, lines: &mut Lines, outcome: Outcome) -> anyhow::Result<Outcome> {
    call.leave();
    let goodbye = async {
        while let Some(event) = call.next().await {
            if let CallEvent::Over(_) = event {
                return lines.event(&call, &event);
            }
        }
        Vec::new()
    };
    // Too late: signaling is not there, or finds out by itself.
    print(&timeout(GOODBYE, goodbye).await.unwrap_or_default())?;
    Ok(outcome)
}

/// One write per batch; a reader that went away ends the program.
fn print(lines: &[String]) -> anyhow::Result<()> {
    let mut text = lines.join("\n");
    if text.is_empty() {
        return Ok(());
    }
    text.push('\n');
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .context("cannot write to stdout")?;
    stdout.flush().context("cannot write to stdout")
}

/// As many as the page has.
const AUDIO_SLOTS: usize = 3;

const PERIOD: Duration = Duration::from_secs(1);
const GOODBYE: Duration = Duration::from_secs(2);
