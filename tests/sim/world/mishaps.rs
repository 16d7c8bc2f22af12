//! What goes wrong on purpose: lines change, computers stop, sockets break, signaling starts over.

use std::time::Duration;

use super::{Happening, World};
use crate::network::{Fault, Weather};
use crate::participant::Seat;

/// A dead socket is noticed by its missing pongs (`Limits::dead_after`).
const SOCKET_DEAD_AFTER: Duration = Duration::from_secs(15);

impl World {
    pub(crate) fn set_weather(&mut self, person: usize, up: Weather, down: Weather) {
        self.people[person].up.set_weather(up);
        self.people[person].down.set_weather(down);
    }

    /// Nothing passes on somebody's line for a while.
    pub(crate) fn cut_line(&mut self, person: usize, span: Duration) {
        let someone = &self.people[person];
        let (up, down) = (someone.up.weather(), someone.down.weather());
        if up.is_out {
            return;
        }
        self.note(format!("p{person}'s line is cut for {span:?}"));
        let out = |weather| Weather {
            is_out: true,
            ..weather
        };
        self.set_weather(person, out(up), out(down));
        self.queue
            .push(self.now + span, Happening::Calm { person, up, down });
    }

    /// The computer stops at once, without a word.
    pub(crate) fn crash(&mut self, person: usize) {
        self.note(format!("p{person} crashes"));
        self.faults.note(Fault::Crash);
        let someone = &mut self.people[person];
        someone.seat = Seat::Crashed;
        if let Some(connection) = someone.connection.take() {
            self.queue.push(
                self.now + SOCKET_DEAD_AFTER,
                Happening::SocketGone { connection },
            );
        }
    }

    /// The socket to signaling breaks; `back_after`: the page tries again then.
    pub(crate) fn lose_socket(&mut self, person: usize, back_after: Duration) {
        let Some(connection) = self.people[person].connection.take() else {
            return;
        };
        self.note(format!("p{person} loses the socket for {back_after:?}"));
        self.faults.note(Fault::SocketLost);
        self.queue
            .push(self.now, Happening::SocketGone { connection });
        self.queue
            .push(self.now + back_after, Happening::Connect { person });
    }

    /// The browser makes the camera's streams anew.
    pub(crate) fn recreate_camera(&mut self, person: usize) {
        self.note(format!("p{person} re-creates the camera's streams"));
        self.faults.note(Fault::NewStream);
        self.people[person].camera.recreate();
    }

    /// Signaling stops; a new one with an empty memory starts after `down`.
    pub(crate) fn restart_signaling(&mut self, down: Duration) {
        self.note(format!("signaling restarts, down for {down:?}"));
        self.faults.note(Fault::SignalingRestart);
        self.close_office();
        for person in 0..self.people.len() {
            let someone = &mut self.people[person];
            let was_connected = someone.connection.take().is_some();
            if was_connected && matches!(someone.seat, Seat::Inside | Seat::Outside) {
                let after = down + Duration::from_millis(200 + 37 * person as u64);
                self.queue
                    .push(self.now + after, Happening::Connect { person });
            }
        }
        self.open_office_after(down);
    }
}
