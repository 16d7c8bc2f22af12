//! Papers that are not what they seem: forged, for somebody else, of another term, or used before. They are said to a computer behind
//! its link, where signaling's words arrive.

use baton_protocol::{Epoch, GrantClaims, HostCommand, LegId, TicketClaims};
use baton_server::Fingerprint;
use baton_signaling::{GrantSigner, Secret};

use crate::guest::offer_of;
use crate::invariants::Broken;
use crate::words::brief;
use crate::world::{START_S, World};

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
        // Signaling signs for other rooms too, with the same key; and it did yesterday.
        let is_strangers = self.dice.chance(50);
        let key = GrantSigner::new(match is_strangers {
            true => &strangers,
            false => &self.secret,
        });
        let today = START_S + self.now / 1000;
        let is_old = !is_strangers && self.dice.chance(30);
        let (named, now_s) = match (is_strangers, is_old) {
            (true, _) => (self.room.clone(), today),
            (false, true) => (self.room.clone(), today - 86_400),
            (false, false) => ("another".parse().expect("a name"), today),
        };
        let command = if self.dice.chance(40) {
            let epoch = Epoch(part_epoch + u32::try_from(self.dice.between(0, 3)).unwrap_or(0));
            let claims = GrantClaims {
                room: named,
                epoch,
                host: id,
                fingerprint: own.digits(),
                standby: None,
                iat: now_s,
                exp: now_s + 600,
            };
            HostCommand::Serve {
                room: self.room.clone(),
                epoch,
                role: baton_protocol::HostRole::Active,
                grant: Some(key.grant(&claims)),
                lease_ms: Some(6000),
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
                        epoch: offer.epoch,
                        sub: offer.participant,
                        leg: offer.leg,
                        cnf: thief.digits(),
                        aud: own.digits(),
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
