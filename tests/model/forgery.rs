//! Papers that are not what they seem: forged, for somebody else, of another term, or used before. They are said to a computer behind
//! its link, where signaling's words arrive.

use baton_protocol::{
    Epoch, GrantClaims, HostCommand, HostId, HostKind, HostMessage, HostRole, LegId, ParticipantId,
    RosterLeg, RosterRoom, ServiceMessage, TicketClaims,
};
use baton_server::Fingerprint;
use baton_signaling::{GrantSigner, Secret};

use crate::guest::offer_of;
use crate::invariants::Broken;
use crate::words::brief;
use crate::world::{START_S, World};

/// What is wrong with a paper. All but the first are signed by signaling, which signs for more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paper {
    Strangers,
    OfAnotherRoom,
    Old,
    OfAnotherTerm,
    OfAnother,
}

/// What signaling would never sign with.
fn strangers_secret() -> Secret {
    Secret::new("a secret that nobody in the call knows").expect("32 bytes")
}

impl World {
    /// Somebody says to a computer what signaling never said.
    pub(crate) fn forge(&mut self) -> Result<(), Broken> {
        let Some(host) = self.computer() else {
            return Ok(());
        };
        let Some(process) = self.hosts[host].running() else {
            return Ok(());
        };
        let (Some(id), own) = (process.id, process.fingerprint) else {
            return Ok(());
        };
        let strangers = strangers_secret();
        let part_epoch = process.part.map_or(1, |part| part.epoch.0);
        let paper = self.another_paper();
        let is_strangers = paper == Paper::Strangers;
        let key = GrantSigner::new(if is_strangers {
            &strangers
        } else {
            &self.secret
        });
        let today = START_S + self.now / 1000;
        let is_old = paper == Paper::Old;
        let now_s = if is_old { today - 86_400 } else { today };
        let named = match paper == Paper::OfAnotherRoom {
            true => "another".parse().expect("a name"),
            false => self.room.clone(),
        };
        let ahead = u32::from(paper == Paper::OfAnotherTerm);
        let meant = match paper == Paper::OfAnother {
            true => Fingerprint([0xDD; 32]),
            false => own,
        };
        let command = if self.dice.chance(40) {
            let epoch = Epoch(part_epoch + u32::try_from(self.dice.between(0, 3)).unwrap_or(0));
            let claims = GrantClaims {
                room: named,
                epoch: Epoch(epoch.0 + ahead),
                host: id,
                fingerprint: meant.digits(),
                standby: None,
                iat: now_s,
                exp: now_s + 600,
            };
            let grant = key.grant(&claims);
            if is_old {
                self.oracle.grants(&grant);
            }
            HostCommand::Serve {
                room: self.room.clone(),
                epoch,
                role: HostRole::Active,
                grant: Some(grant),
                lease_ms: Some(6000),
                beats: false,
            }
        } else {
            let papers = self.papers.iter().rev();
            let mut offers = papers.filter_map(|paper| {
                let HostCommand::Negotiate(offer) = paper else {
                    return None;
                };
                Some(offer.clone())
            });
            let Some(mut offer) = offers.next() else {
                return Ok(());
            };
            let thief = Fingerprint([0xEE; 32]);
            offer.epoch = Epoch(part_epoch);
            match self.dice.between(0, 6) {
                0 => offer.ticket = None,
                1 => offer.sdp = offer_of(thief),
                2 => offer.participant.0 ^= 1,
                3 => offer.leg = LegId(offer.leg.0 + 1),
                4 => offer.epoch = Epoch(part_epoch.saturating_sub(1)),
                _ => {
                    offer.sdp = offer_of(thief);
                    let claims = TicketClaims {
                        room: named,
                        epoch: Epoch(offer.epoch.0 + ahead),
                        sub: offer.participant,
                        leg: offer.leg,
                        cnf: thief.digits(),
                        aud: meant.digits(),
                        jti: self.dice.next(),
                        exp: now_s + 60,
                        iat: now_s,
                    };
                    offer.ticket = Some(key.ticket(&claims));
                }
            }
            HostCommand::Negotiate(offer)
        };
        self.tally.forgeries += 1;
        self.inject(host, command)
    }

    fn another_paper(&mut self) -> Paper {
        let all = [
            Paper::OfAnotherRoom,
            Paper::Old,
            Paper::OfAnotherTerm,
            Paper::OfAnother,
        ];
        match self.spare.chance(40) {
            true => Paper::Strangers,
            false => self.spare.pick(&all).unwrap_or(Paper::Strangers),
        }
    }

    /// Somebody answers a guest in the place of the computer that its leg is meant for.
    pub(crate) fn impersonate(&mut self, index: usize, leg: LegId) -> Result<(), Broken> {
        let guest = &self.guests[index];
        let Some(hosting) = &guest.hosting else {
            return Ok(());
        };
        let moving = hosting.moving.as_ref().map(|moving| &moving.to);
        let moving = moving.filter(|to| to.kind == HostKind::Participant);
        let carries = Some(&hosting.term).filter(|term| term.kind == HostKind::Participant);
        let computers = [moving.map(|to| to.host), carries.map(|term| term.host)];
        let mut legs = guest.legs.iter();
        let is_asked = legs.any(|one| one.id == leg && computers.contains(&Some(one.host)));
        if !is_asked || self.calm_since.is_some() || !self.spare.chance(3) {
            return Ok(());
        }
        let epoch = hosting.term.epoch;
        self.note(|| format!("FAULT somebody answers leg {leg} of guest {index}"));
        self.tally.impostors += 1;
        let thief = Fingerprint([0xEE; 32]);
        let answer = ServiceMessage::Answer {
            leg,
            epoch,
            sdp: offer_of(thief),
            tracks: Vec::new(),
        };
        self.guests[index].hear(&answer, self.now);
        let mut legs = self.guests[index].legs.iter();
        if legs.any(|leg| leg.answered == Some(thief)) {
            let why =
                format!("guest {index} takes somebody else for the computer that it was told of");
            return Err(Broken(why));
        }
        self.after_guest(index)
    }

    /// A computer says that it carries the call, by a grant that signaling never signed or by none. Absent: it is honest.
    pub(crate) fn lie(&mut self, host: usize) -> Option<HostMessage> {
        let process = self.hosts[host].process.as_ref()?;
        process.tenure.as_ref()?;
        if self.calm_since.is_some() || !self.spare.chance(6) {
            return None;
        }
        let HostMessage::Hello(mut hello) = process.hello() else {
            return None;
        };
        let ahead = u32::try_from(self.spare.between(0, 3)).unwrap_or(0);
        let known = hello.rooms.pop();
        let epoch = Epoch(known.as_ref().map_or(1, |room| room.epoch.0) + ahead);
        let claims = GrantClaims {
            room: self.room.clone(),
            epoch,
            host: process.id.unwrap_or(HostId(1)),
            fingerprint: process.fingerprint.digits(),
            standby: None,
            iat: START_S + self.now / 1000,
            exp: START_S + self.now / 1000 + 600,
        };
        let grant = GrantSigner::new(&strangers_secret()).grant(&claims);
        let is_forged = self.spare.chance(70);
        let somebody = RosterLeg {
            participant: ParticipantId(u32::try_from(self.spare.between(1, 1 << 30)).unwrap_or(1)),
            leg: LegId(1),
            tracks: Vec::new(),
            memento: None,
        };
        hello.rooms.push(RosterRoom {
            room: self.room.clone(),
            epoch,
            role: Some(HostRole::Active),
            grant: is_forged.then_some(grant),
            legs: known.map_or(vec![somebody], |room| room.legs),
        });
        self.note(|| {
            format!(
                "FAULT host {host} says that it carries the call in epoch {}",
                epoch.0
            )
        });
        self.tally.lies += 1;
        Some(HostMessage::Hello(hello))
    }

    /// Somebody says to a computer again what signaling said once, maybe to another.
    pub(crate) fn replay(&mut self) -> Result<(), Broken> {
        let Some(host) = self.computer() else {
            return Ok(());
        };
        if self.papers.is_empty() {
            return Ok(());
        }
        let command = self.papers[self.dice.below(self.papers.len())].clone();
        self.tally.replays += 1;
        self.inject(host, command)
    }

    pub(crate) fn inject(&mut self, host: usize, command: HostCommand) -> Result<(), Broken> {
        self.note(|| format!("FAULT somebody says to host {host}: {}", brief(&command)));
        let (now, moment) = (self.now, self.moment(host));
        if let Some(process) = self.hosts[host].running_mut() {
            // Said before everything, so that it counts as news of nothing.
            process.judge(0, command, (now, moment))?;
        }
        self.look_at_papers(host)?;
        self.after_host(host)
    }
}
