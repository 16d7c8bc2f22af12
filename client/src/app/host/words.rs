//! What people and programs are told about a standalone call. Pure but for [`Ready::of`].

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::SystemTime;

use baton_protocol::{ParticipantId, ParticipantInfo, RoomId};
use baton_server::Standalone;
use serde::Serialize;

use super::qr;
use crate::app::lines::printable;

/// The call can be joined.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename = "ready")]
pub(super) struct Ready {
    pub(super) room: RoomId,
    /// Links for guests, the likeliest first.
    pub(super) invites: Vec<String>,
    /// For whoever owns the computer.
    pub(super) owner: String,
    pub(super) media: SocketAddr,
    /// SHA-256 of the certificate, as browsers show it.
    pub(super) certificate: String,
}

impl Ready {
    pub(super) fn of(running: &Standalone, now: SystemTime) -> Self {
        Self {
            room: running.room().clone(),
            invites: running.invites(),
            owner: running.owner_link(now),
            media: running.media(),
            certificate: running.digest().to_string(),
        }
    }

    /// For people; with a code for cameras where it is shown in a terminal.
    pub(super) fn text(&self, is_terminal: bool) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text, is_terminal);
        text
    }

    fn write(&self, text: &mut String, is_terminal: bool) -> std::fmt::Result {
        writeln!(
            text,
            "\n  This computer carries the call \"{}\" now. No server and no internet are needed.\n",
            self.room
        )?;
        for (index, invite) in self.invites.iter().enumerate() {
            let label = if index == 0 { "Guests open" } else { "or" };
            writeln!(text, "  {label:<12}{invite}")?;
        }
        writeln!(text, "  {:<12}{}", "You open", self.owner)?;
        writeln!(
            text,
            "\n  Whoever has a guests' link comes in; to type it, leave out what follows #. Yours can mute and remove others:\n  keep it to yourself. Programs: baton-client join 'LINK'.\n"
        )?;
        let code = self.invites.first().filter(|_| is_terminal);
        if let Some(lines) = code.and_then(|link| qr::lines(link)) {
            for line in lines {
                writeln!(text, "  {line}")?;
            }
            writeln!(text)?;
        }
        let (first, second) = self.certificate.split_at(self.certificate.len() / 2);
        writeln!(
            text,
            "{WARNING}\n\n    {first}\n    {}\n",
            second.trim_matches(':')
        )?;
        writeln!(text, "  Ctrl-C ends the call for everybody.")
    }
}

/// Tells who came and who went since the last time.
#[derive(Debug, Default)]
pub(super) struct News {
    known: Vec<(ParticipantId, String)>,
}

/// All who are in the call.
#[derive(Serialize)]
#[serde(tag = "event", rename = "people")]
struct People<'a> {
    people: Vec<&'a str>,
}

impl News {
    /// A line, if the people are not those of the last time.
    pub(super) fn look(&mut self, people: Vec<ParticipantInfo>, is_json: bool) -> Option<String> {
        let here = people.into_iter().map(|one| (one.id, one.name));
        let here: Vec<_> = here.collect();
        if here == self.known {
            return None;
        }
        let before = std::mem::replace(&mut self.known, here);
        let is_in = |list: &[(ParticipantId, String)], id| list.iter().any(|(one, _)| *one == id);
        let came = self.known.iter().filter(|(id, _)| !is_in(&before, *id));
        let went = before.iter().filter(|(id, _)| !is_in(&self.known, *id));
        let came = came.map(|(_, name)| format!("{name} came"));
        let went = went.map(|(_, name)| format!("{name} left"));
        let names: Vec<_> = self.known.iter().map(|(_, name)| name.as_str()).collect();
        if is_json {
            let people = People { people: names };
            return Some(serde_json::to_string(&people).expect("names are always JSON"));
        }
        let here = match names.as_slice() {
            [] => "nobody".to_owned(),
            names => names.join(", "),
        };
        let news: Vec<_> = came.chain(went).collect();
        let news = match news.as_slice() {
            [] => String::new(),
            news => news.join(", ") + "; ",
        };
        Some(printable(&format!("  {news}in the call: {here}")))
    }
}

const WARNING: &str = "  Browsers will warn: this computer has made its certificate itself, and nobody outside vouches for it. The call is encrypted all
  the same. Go on by \"Advanced\" and \"Proceed\" (Chromium, Edge), \"Advanced\" and \"Accept the Risk\" (Firefox), or \"Show Details\" and
  \"visit this website\" (Safari); iPhones and iPads may refuse even then. To be sure that nobody sits in between, look at the
  certificate in the browser: its SHA-256 has to be";

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Ready {
        Ready {
            room: "call".parse().unwrap(),
            invites: vec![
                "https://192.168.1.5:7880/r/call?token=a#sha256=b".to_owned(),
                "https://10.0.0.7:7880/r/call?token=a#sha256=b".to_owned(),
            ],
            owner: "https://192.168.1.5:7880/r/call?token=a.b.c#invite=a&sha256=b".to_owned(),
            media: "[::]:7881".parse().unwrap(),
            certificate: vec!["0F"; 32].join(":"),
        }
    }

    fn one(id: u32, name: &str) -> ParticipantInfo {
        serde_json::from_value(
            serde_json::json!({"id": id, "name": name, "tracks": [], "connected": true}),
        )
        .unwrap()
    }

    #[test]
    fn people_get_links_the_reason_of_the_warning_and_the_digest() {
        let text = ready().text(false);
        for words in [
            "Guests open https://192.168.1.5",
            "or          https://10.0.0.7",
            "You open    https://192.168.1.5:7880/r/call?token=a.b.c",
            "nobody outside vouches",
            &vec!["0F"; 16].join(":"),
        ] {
            assert!(text.contains(words), "{words} is missing in\n{text}");
        }
        assert!(!text.contains('▀') && ready().text(true).contains('▀'));
        let widest = ready()
            .text(true)
            .lines()
            .map(|line| line.chars().count())
            .max();
        assert!(widest < Some(140), "{widest:?}");
    }

    #[test]
    fn programs_get_one_line() {
        let line = serde_json::to_value(ready()).unwrap();
        assert_eq!(line["event"], "ready");
        assert_eq!(line["invites"][1], ready().invites[1]);
        assert_eq!(line["media"], "[::]:7881");
    }

    #[test]
    fn who_comes_and_goes_is_told_once_and_cannot_steer_the_terminal() {
        let mut news = News::default();
        assert_eq!(news.look(Vec::new(), false), None);
        let ana = || one(1, "Ana");
        let line = news.look(vec![ana()], false).unwrap();
        assert_eq!(line, "  Ana came; in the call: Ana");
        assert_eq!(news.look(vec![ana()], false), None);
        let line = news.look(vec![ana(), one(2, "B\x1b[2Jo")], false).unwrap();
        assert_eq!(line, "  B [2Jo came; in the call: Ana, B [2Jo");
        let line = news.look(vec![one(2, "Bo")], true).unwrap();
        assert_eq!(line, r#"{"event":"people","people":["Bo"]}"#);
        let line = news.look(Vec::new(), false).unwrap();
        assert_eq!(line, "  Bo left; in the call: nobody");
    }
}
