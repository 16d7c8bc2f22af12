//! The terminal itself: taken over while a call runs, given back whatever happens, and its keys.

use std::io::Stdout;

use anyhow::Context;
use baton_client::Call;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::prelude::CrosstermBackend;
use tokio::sync::mpsc;

use super::scene::Scene;
use super::{Board, draw};

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Leave,
    Mute,
    /// Use the server only, or no more.
    UseServer,
    /// Carry the call no more.
    StepDown,
    Help,
    /// The terminal has another size.
    Resized,
}

/// The screen; dropping it gives the terminal back.
#[derive(Debug)]
pub(crate) struct Terminal {
    screen: ratatui::Terminal<CrosstermBackend<Stdout>>,
    keys: mpsc::Receiver<Key>,
}

impl Terminal {
    pub(crate) fn open() -> anyhow::Result<Self> {
        // Gives the terminal back on a panic, too.
        let screen = ratatui::try_init().context("cannot take over the terminal")?;
        let (sender, keys) = mpsc::channel(KEYS);
        // Reading keys blocks, and cannot be given up: the thread ends with the program.
        std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || read_keys(&sender))
            .context("cannot start a thread")?;
        Ok(Self { screen, keys })
    }

    pub(crate) fn draw(&mut self, call: &Call, board: &Board) -> anyhow::Result<()> {
        let scene = Scene::of(call, board);
        self.screen
            .draw(|frame| draw::draw(frame, &scene))
            .context("cannot write to the terminal")?;
        Ok(())
    }

    pub(crate) async fn key(&mut self) -> Key {
        match self.keys.recv().await {
            Some(key) => key,
            // The terminal is gone; a signal or the end of the call comes next.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn read_keys(sender: &mpsc::Sender<Key>) {
    while let Ok(event) = event::read() {
        if let Some(key) = key(&event)
            && sender.blocking_send(key).is_err()
        {
            return;
        }
    }
}

fn key(event: &Event) -> Option<Key> {
    if let Event::Resize(..) = event {
        return Some(Key::Resized);
    }
    let pressed = event
        .as_key_event()
        .filter(|key| key.kind == KeyEventKind::Press)?;
    // The terminal no longer makes a signal of Ctrl-C.
    if pressed.code == KeyCode::Char('c') && pressed.modifiers.contains(KeyModifiers::CONTROL) {
        return Some(Key::Leave);
    }
    match pressed.code.as_char()? {
        'q' => Some(Key::Leave),
        'm' => Some(Key::Mute),
        's' => Some(Key::UseServer),
        'b' => Some(Key::StepDown),
        'h' | '?' => Some(Key::Help),
        _ => None,
    }
}

/// Keys that wait.
const KEYS: usize = 16;
