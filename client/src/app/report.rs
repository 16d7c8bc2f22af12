//! Where a call's news goes: lines on stdout, or the terminal view.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use baton_client::{Call, CallEvent};

use super::board::{Board, Key, Terminal};
use super::lines::Lines;
use super::meter::Meter;

/// What people or programs see.
#[derive(Debug)]
pub(super) struct Report {
    meter: Meter,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Lines(Lines),
    View(Box<Board>, Terminal),
}

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Sentences.
    Text,
    /// One object per line.
    Json,
    /// The whole terminal.
    View,
}

impl Report {
    pub(super) fn new(shape: Shape) -> anyhow::Result<Self> {
        let form = match shape {
            Shape::Text => Form::Lines(Lines::new(false)),
            Shape::Json => Form::Lines(Lines::new(true)),
            Shape::View => {
                let terminal = Terminal::open().context("cannot use the terminal; try --plain")?;
                Form::View(Box::default(), terminal)
            }
        };
        Ok(Self {
            meter: Meter::default(),
            form,
        })
    }

    /// Something happened.
    pub(super) fn event(&mut self, call: &Call, event: &CallEvent) -> anyhow::Result<()> {
        if let CallEvent::Switched { .. } = event {
            self.meter.reset();
        }
        match &mut self.form {
            Form::Lines(lines) => print(&lines.event(call, event)),
            Form::View(board, terminal) => {
                board.handle_event(call, event);
                terminal.draw(call, board)
            }
        }
    }

    /// `period` has passed.
    pub(super) fn stats(&mut self, call: &Call, period: Duration) -> anyhow::Result<()> {
        let rates = self.meter.measure(call, period);
        match &mut self.form {
            Form::Lines(lines) => print(&lines.stats(call, &rates)),
            Form::View(board, terminal) => {
                board.handle_rates(rates);
                terminal.draw(call, board)
            }
        }
    }

    /// The next key; never without a view.
    pub(super) async fn key(&mut self) -> Key {
        match &mut self.form {
            Form::Lines(_) => std::future::pending().await,
            Form::View(_, terminal) => terminal.key().await,
        }
    }

    /// A key concerned only what is shown, or the terminal has another size.
    pub(super) fn redraw(&mut self, call: &Call, key: Key) -> anyhow::Result<()> {
        match &mut self.form {
            Form::Lines(_) => Ok(()),
            Form::View(board, terminal) => {
                if key == Key::Help {
                    board.toggle_help();
                }
                terminal.draw(call, board)
            }
        }
    }
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
