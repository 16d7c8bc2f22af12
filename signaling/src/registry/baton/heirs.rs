//! Who serves signaling if this service dies with the one computer that it runs on: its heir, a participant's computer that carries the
//! call or stands by. Told beforehand, to the heir and to everybody, because afterwards nobody can be told anything.
//!
//! The heir gets a secret of its own: what it signs is believed by those who came to it, and by nobody else. Does not own: what
//! the heir does with it (`server/src/successor.rs`), nor who stands by.

use baton_protocol::{
    Epoch, HostCommand, HostId, HostKind, RoomId, ServiceMessage, SignalingPlace,
};

use crate::access::Access;
use crate::host::LinkId;
use crate::now::Now;
use crate::participant::Participant;
use crate::registry::Registry;
use crate::room::Room;
use crate::token::{MAX_TOKEN_LIFE, ResumeToken, Token};

/// The computer that would serve signaling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heir {
    host: HostId,
    /// A computer that links again may have forgotten what it was told.
    link: LinkId,
    place: SignalingPlace,
}

impl Registry {
    /// Chooses an heir where there is none or another one, and tells it and everybody.
    pub(super) fn tend_heir(&mut self, room: &RoomId, now: Now) {
        if !self.config.limits.hosting.is_sole_server {
            return;
        }
        let Some(entry) = self.rooms.get(room) else {
            return;
        };
        let heir = self.find_heir(entry);
        if entry.baton.heir != heir {
            if let Some(heir) = &heir {
                let command = HostCommand::Inherit {
                    room: room.clone(),
                    secret: self.config.secret.of_heir(room, heir.host).to_text(),
                    code: match &self.config.access {
                        Access::Code { code, .. } => Some(code.as_str().to_owned()),
                        Access::Open | Access::Tokens { .. } => None,
                    },
                };
                self.command(heir.host, command);
            }
            if let Some(entry) = self.rooms.get_mut(room) {
                entry.baton.heir = heir;
                entry.baton.heir_count = entry.baton.heir_count.wrapping_add(1);
            }
        }
        self.tell_of_heir(room, now);
    }

    /// Somebody comes back and believes in this epoch: the heir may have taken this service for dead and given out epochs meanwhile.
    pub(in crate::registry) fn hear_of_heir(&mut self, room: &RoomId, epoch: Epoch, now: Now) {
        let is_sole = self.config.limits.hosting.is_sole_server;
        let entry = self.rooms.get_mut(room);
        if let Some(entry) = entry.filter(|entry| is_sole && entry.term.epoch < epoch) {
            entry.baton.is_recalled = true;
            entry.baton.leaps = Some(now.first_epoch());
        }
    }

    fn find_heir(&self, room: &Room) -> Option<Heir> {
        let baton = &room.baton;
        let mut named = std::iter::once(room.term.host).chain(baton.standby);
        let host = named.find(|host| {
            let is_computer = self.hosts.kind(*host) == Some(HostKind::Participant);
            is_computer && !self.is_own(*host)
        })?;
        let mut computers = self.hosts.computers(&room.id);
        let computer = computers.find(|one| one.id == host)?;
        let place = computer.fitness()?.signaling.as_ref();
        Some(Heir {
            host,
            link: computer.link()?,
            place: place.filter(|place| is_sensible(place))?.clone(),
        })
    }

    fn tell_of_heir(&mut self, room: &RoomId, now: Now) {
        let life = self.life;
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let Some(heir) = &entry.baton.heir else {
            return;
        };
        let secret = self.config.secret.of_heir(room, heir.host);
        let (count, epoch) = (entry.baton.heir_count, entry.term.epoch);
        let invites = invites(&heir.place, &self.config.access);
        for one in entry.participants.values_mut() {
            let Some(connection) = one.connection() else {
                continue;
            };
            if one.told_heir == Some((count, epoch)) {
                continue;
            }
            one.told_heir = Some((count, epoch));
            let Participant {
                id,
                name,
                grants,
                subject,
                token_id,
                generation,
                uses_server,
                ..
            } = &*one;
            let resume = secret.mint(&Token::Resume(ResumeToken {
                room: room.clone(),
                participant: *id,
                name: name.clone(),
                grants: grants.clone(),
                subject: subject.clone(),
                token_id: token_id.clone(),
                life,
                generation: *generation,
                term: entry.term.clone(),
                uses_server: *uses_server,
                issued_at: now.unix_s(),
                expires_at: now.unix_s() + MAX_TOKEN_LIFE.as_secs(),
            }));
            self.outputs.push_back(crate::registry::Output::Peer {
                connection,
                message: ServiceMessage::Heir {
                    invites: invites.clone(),
                    resume,
                },
            });
        }
    }
}

/// As links for guests.
fn invites(place: &SignalingPlace, access: &Access) -> Vec<String> {
    let token = match access {
        Access::Code { code, .. } => format!("?token={}", code.as_str()),
        Access::Open | Access::Tokens { .. } => String::new(),
    };
    let sha256 = &place.sha256;
    let urls = place.urls.iter();
    urls.map(|url| format!("{url}{token}#sha256={sha256}"))
        .collect()
}

/// It comes from a participant's computer and is passed on to everybody.
fn is_sensible(place: &SignalingPlace) -> bool {
    let is_address = |url: &String| {
        url.len() <= MAX_URL && url.starts_with("https://") && !url.contains(['?', '#'])
    };
    let is_hex = |byte: u8| byte.is_ascii_hexdigit();
    (1..=MAX_URLS).contains(&place.urls.len())
        && place.urls.iter().all(is_address)
        && place.sha256.len() == 64
        && place.sha256.bytes().all(is_hex)
}

const MAX_URLS: usize = 8;
const MAX_URL: usize = 256;
