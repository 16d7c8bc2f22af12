//! A call from its first to its last event: the loop is a list of what may happen.

use std::future::pending;
use std::time::Duration;

use anyhow::Context;
use baton_client::{Call, CallEvent, Plan};
use baton_protocol::{Source, StepDownReason};
use baton_server::StopSignals;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::Outcome;
use super::board::Key;
use super::cli::Join;
use super::report::{Report, Shape};
use super::source::Sending;
use super::tape::Tape;

/// Joins and stays until the call, the time or somebody ends it.
pub(super) async fn until_over(join: &Join, shape: Shape) -> anyhow::Result<Outcome> {
    let mut sending = Sending::read(&join.send)?;
    let tape = join.record.as_deref().map(Tape::start).transpose()?;
    let call = Call::join(Plan {
        name: join.name.clone(),
        computer: join.entry.hosting.computer_of(&join.name),
        watch: join.watch,
        uses_server: join.use_server,
        audio_slots: AUDIO_SLOTS,
        video_slots: join.pictures.into(),
        publications: sending.publications(),
        frames: tape.as_ref().map(Tape::frames),
        ..join.entry.plan()?
    });
    sending.play();
    let outcome = attend(call, join.entry.seconds, shape, tape.as_ref()).await;
    if let Some(tape) = tape {
        tape.stop().await;
    }
    outcome
}

/// Follows a call to its end.
pub(super) async fn attend(
    mut call: Call,
    seconds: Option<u64>,
    shape: Shape,
    tape: Option<&Tape>,
) -> anyhow::Result<Outcome> {
    let mut report = Report::new(shape)?;
    let mut signals = StopSignals::new().context("cannot listen for signals")?;
    let start = Instant::now();
    let end = seconds.map(|seconds| start + Duration::from_secs(seconds));
    let mut ticks = interval_at(start + PERIOD, PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let time_is_up = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => pending().await,
            }
        };
        tokio::select! {
            event = call.next() => {
                let Some(event) = event else {
                    return Ok(Outcome::Left);
                };
                report.event(&call, &event)?;
                if let Some(tape) = tape {
                    tape.look(&call);
                }
                if let CallEvent::Over(ending) = &event {
                    call.put_away().await;
                    return Ok(Outcome::from(ending));
                }
            }
            _ = ticks.tick() => report.stats(&call, PERIOD)?,
            key = report.key() => match key {
                Key::Leave => return leave(call, &mut report, Outcome::Left).await,
                Key::Mute => {
                    let is_muted = !call.is_muted(Source::Microphone);
                    call.set_muted(Source::Microphone, is_muted);
                    report.redraw(&call, key)?;
                }
                Key::UseServer => {
                    let always = !call.uses_server();
                    call.use_server(always);
                    report.redraw(&call, key)?;
                }
                Key::StepDown => {
                    call.step_down(StepDownReason::Owner);
                    report.redraw(&call, key)?;
                }
                Key::Help | Key::Resized => report.redraw(&call, key)?,
            },
            () = signals.next() => return leave(call, &mut report, Outcome::Left).await,
            () = time_is_up => {
                let outcome = if call.room().is_some() { Outcome::Left } else { Outcome::NeverJoined };
                return leave(call, &mut report, outcome).await;
            }
        }
    }
}

/// Hands the call over first, if this computer carries it: whoever waits for that sees and hears on.
async fn hand_over(call: &mut Call, report: &mut Report) -> anyhow::Result<()> {
    if !call.step_down(StepDownReason::Shutdown) {
        return Ok(());
    }
    let handed = async {
        while call.is_carrying() {
            match call.next().await {
                Some(event) => report.event(call, &event)?,
                None => break,
            }
        }
        Ok(())
    };
    match timeout(HAND_OVER, handed).await {
        Ok(said) => said,
        Err(_) => {
            tracing::warn!("the call was not taken over in time; it is dropped");
            Ok(())
        }
    }
}

/// Says goodbye, so that the others need not wait for one who does not come back.
async fn leave(mut call: Call, report: &mut Report, outcome: Outcome) -> anyhow::Result<Outcome> {
    hand_over(&mut call, report).await?;
    call.leave();
    let goodbye = async {
        while let Some(event) = call.next().await {
            if let CallEvent::Over(_) = event {
                return report.event(&call, &event);
            }
        }
        Ok(())
    };
    match timeout(GOODBYE, goodbye).await {
        Ok(said) => said?,
        Err(_) => tracing::debug!("signaling is not there, or finds out by itself"),
    }
    call.put_away().await;
    Ok(outcome)
}

/// As many as the page has.
const AUDIO_SLOTS: usize = 3;

const PERIOD: Duration = Duration::from_secs(1);
/// Computers that go to sleep give so much time.
const HAND_OVER: Duration = Duration::from_secs(5);
const GOODBYE: Duration = Duration::from_secs(2);
