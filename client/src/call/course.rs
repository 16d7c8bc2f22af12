//! Which word about the hosting a participant believes, which hosts it has legs to because of it, what each of them does, and
//! whose answers it takes.
//!
//! Pure.

use baton_protocol::{
    Epoch, HostId, HostKind, HostTerm, Hosting, MovePhase, MoveStep, Moving, ParticipantId,
};
use baton_server::Fingerprint;
use baton_server::papers::SigningKey;

/// What a leg is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Carries everything.
    Main,
    /// Connected and silent, for the case that the main host dies.
    Standby,
    /// Connected and silent, for a move that is being prepared.
    Next,
    /// Everything goes to it too, and is about to come from it alone.
    Arriving,
}

/// A host to which there shall be a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub host: HostId,
    /// What offers to it name.
    pub epoch: Epoch,
    /// What for.
    pub part: Part,
    /// It is the host of `term`, which offers need not name.
    pub is_mine: bool,
}

impl Wanted {
    /// Is it of no use to try? The move that it is for has failed once.
    pub fn is_void(&self, failed_move: Option<Epoch>) -> bool {
        matches!(self.part, Part::Next | Part::Arriving) && failed_move == Some(self.epoch)
    }
}

/// How far a leg to the next host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It is not connected, or not there at all.
    NotYet,
    /// It could carry everything.
    Usable,
    /// Everything comes from it, or there is nothing to come.
    Shown,
}

/// What signaling is to be told of a move, if anything.
fn step(moving: &Moving, failed_move: Option<Epoch>, reached: Reached) -> Option<MoveStep> {
    if failed_move == Some(moving.epoch) {
        return Some(MoveStep::Failed);
    }
    match (reached, moving.phase) {
        (Reached::NotYet, _) => None,
        (Reached::Shown, MovePhase::Switch) => Some(MoveStep::Switched),
        (Reached::Usable | Reached::Shown, _) => Some(MoveStep::Ready),
    }
}

/// Is another host one's own by this word? `None`: it is not believed.
pub fn changes_host(known: Option<&Hosting>, next: &Hosting) -> Option<bool> {
    let is_new = known.is_none_or(|known| known.mine != next.mine);
    counts(known, next).then_some(is_new)
}

/// What is to be said of a move now: each step once. `said`: what was said last.
pub fn progress(
    moving: &Moving,
    failed_move: Option<Epoch>,
    reached: Reached,
    said: Option<(Epoch, MoveStep)>,
) -> Option<(Epoch, MoveStep)> {
    let step = step(moving, failed_move, reached)?;
    Some((moving.epoch, step)).filter(|now| said != Some(*now))
}

/// The main one first; each host once. Without a word about the hosting there is one leg, to the host of the room's term.
/// `avoids`: who connects to no other participant's computer, whatever is said.
pub fn wanted(
    hosting: Option<&Hosting>,
    term: &HostTerm,
    avoids: Option<ParticipantId>,
) -> Vec<Wanted> {
    let is_welcome = |kind: HostKind, owner: Option<ParticipantId>| {
        kind == HostKind::Central || avoids.is_none_or(|me| owner == Some(me))
    };
    let main = |host, epoch| Wanted {
        host,
        epoch,
        part: Part::Main,
        is_mine: true,
    };
    let Some(hosting) = hosting else {
        // Whose computer it is is said at once.
        let known = is_welcome(term.kind, None).then(|| main(term.host, term.epoch));
        return known.into_iter().collect();
    };
    let is_term = hosting.mine == hosting.term.host;
    let mut all = Vec::new();
    if !is_term || is_welcome(hosting.term.kind, hosting.owner) {
        all.push(main(hosting.mine, hosting.term.epoch));
    }
    if let Some(moving) = &hosting.moving
        && moving.to.host != hosting.mine
        && is_welcome(moving.to.kind, moving.to.owner)
    {
        all.push(Wanted {
            host: moving.to.host,
            epoch: moving.epoch,
            part: match moving.phase {
                MovePhase::Prepare => Part::Next,
                MovePhase::Switch => Part::Arriving,
            },
            is_mine: false,
        });
    }
    if let Some(standby) = &hosting.standby
        && is_welcome(standby.kind, standby.owner)
        && !all.iter().any(|known| known.host == standby.host)
    {
        all.push(Wanted {
            host: standby.host,
            epoch: hosting.term.epoch,
            part: Part::Standby,
            is_mine: false,
        });
    }
    all
}

/// Does `next` count? What is of an older term does not, whoever says it.
fn counts(known: Option<&Hosting>, next: &Hosting) -> bool {
    known.is_none_or(|known| next.term.epoch >= known.term.epoch)
}

/// Is this the answer of the host that signaling granted the call to? The operator's hosts need no grant.
///
/// # Errors
/// For people, if it is not.
pub fn check_answer(
    hosting: Option<&Hosting>,
    key: Option<&SigningKey>,
    host: HostId,
    sdp: &str,
) -> Result<(), String> {
    let Some(hosting) = hosting else {
        return Ok(());
    };
    let (kind, epoch, grant) = match &hosting.moving {
        Some(moving) if moving.to.host == host => {
            (moving.to.kind, moving.epoch, moving.grant.as_deref())
        }
        _ if hosting.term.host == host => (
            hosting.term.kind,
            hosting.term.epoch,
            hosting.grant.as_deref(),
        ),
        _ => return Ok(()),
    };
    let (Some(grant), Some(key)) = (grant, key) else {
        return match kind {
            HostKind::Central => Ok(()),
            HostKind::Participant => Err("nobody granted it the call".to_owned()),
        };
    };
    let claims = key
        .grant(grant)
        .map_err(|why| format!("its grant: {why}"))?;
    let is_for_this = claims.host == host && claims.epoch == epoch;
    let shown = fingerprint(sdp).and_then(|digits| Fingerprint::parse_digits(&digits));
    if !is_for_this || shown.is_none() || shown != Fingerprint::parse_digits(&claims.fingerprint) {
        return Err("its certificate is not the one that signaling granted the call to".to_owned());
    }
    Ok(())
}

/// The digits of `a=fingerprint:sha-256`.
pub(super) fn fingerprint(sdp: &str) -> Option<String> {
    let line = sdp
        .lines()
        .find_map(|line| line.strip_prefix("a=fingerprint:"))?;
    let (_, digits) = line.trim().split_once(' ')?;
    Some(digits.to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use baton_protocol::{HostSeat, HostingPolicy, Moving};

    use super::*;

    pub(in crate::call) fn seat(host: u32) -> HostSeat {
        HostSeat {
            host: HostId(host),
            kind: HostKind::Central,
            name: format!("host {host}"),
            owner: None,
        }
    }

    pub(in crate::call) fn hosting(epoch: u32, mine: u32) -> Hosting {
        Hosting {
            term: HostTerm {
                epoch: Epoch(epoch),
                host: HostId(mine),
                kind: HostKind::Central,
                name: String::new(),
            },
            owner: None,
            grant: None,
            mine: HostId(mine),
            standby: None,
            moving: None,
            policy: HostingPolicy::Auto,
            candidates: Vec::new(),
        }
    }

    fn parts(hosting: &Hosting) -> Vec<(u32, u32, Part)> {
        let all = wanted(Some(hosting), &hosting.term, None);
        all.iter()
            .map(|one| (one.host.0, one.epoch.0, one.part))
            .collect()
    }

    #[test]
    fn a_move_and_a_standby_each_want_a_leg_of_their_own() {
        let mut now = hosting(3, 1);
        assert_eq!(parts(&now), [(1, 3, Part::Main)]);
        now.moving = Some(Moving {
            epoch: Epoch(4),
            to: seat(2),
            phase: MovePhase::Prepare,
            grant: None,
        });
        assert_eq!(parts(&now), [(1, 3, Part::Main), (2, 4, Part::Next)]);
        now.moving.as_mut().unwrap().phase = MovePhase::Switch;
        assert_eq!(parts(&now), [(1, 3, Part::Main), (2, 4, Part::Arriving)]);
        let mut now = hosting(4, 2);
        now.standby = Some(seat(1));
        assert_eq!(parts(&now), [(2, 4, Part::Main), (1, 4, Part::Standby)]);
        // Back to the server: the standby's leg is the one that arrives.
        now.moving = Some(Moving {
            epoch: Epoch(5),
            to: seat(1),
            phase: MovePhase::Switch,
            grant: None,
        });
        assert_eq!(parts(&now), [(2, 4, Part::Main), (1, 5, Part::Arriving)]);
    }

    #[test]
    fn a_move_is_told_of_step_by_step_and_one_that_failed_is_not_tried_again() {
        let mut moving = Moving {
            epoch: Epoch(4),
            to: seat(2),
            phase: MovePhase::Prepare,
            grant: None,
        };
        let steps = |moving: &Moving| {
            [Reached::NotYet, Reached::Usable, Reached::Shown].map(|one| step(moving, None, one))
        };
        let ready = Some(MoveStep::Ready);
        assert_eq!(steps(&moving), [None, ready, ready]);
        moving.phase = MovePhase::Switch;
        assert_eq!(steps(&moving), [None, ready, Some(MoveStep::Switched)]);
        let failed = Some(Epoch(4));
        let told = step(&moving, failed, Reached::Shown);
        assert_eq!(told, Some(MoveStep::Failed));
        let mut now = hosting(3, 1);
        now.moving = Some(moving);
        let void = wanted(Some(&now), &now.term, None);
        let void: Vec<bool> = void.iter().map(|one| one.is_void(failed)).collect();
        assert_eq!(void, [false, true]);
    }

    #[test]
    fn who_uses_the_server_opens_no_leg_to_another_participant_s_computer() {
        let mut now = hosting(4, 2);
        now.term.kind = HostKind::Participant;
        now.owner = Some(ParticipantId(7));
        now.standby = Some(seat(1));
        let hosts = |now: &Hosting, me| {
            let all = wanted(Some(now), &now.term, Some(ParticipantId(me)));
            all.iter().map(|one| one.host.0).collect::<Vec<_>>()
        };
        assert_eq!(hosts(&now, 9), [1], "before signaling has heard of it");
        assert_eq!(hosts(&now, 7), [2, 1], "it is the own one");
        now.mine = HostId(1);
        assert_eq!(hosts(&now, 9), [1]);
    }

    #[test]
    fn without_a_word_about_it_the_term_s_host_is_the_only_one() {
        let term = hosting(2, 9).term;
        let all = wanted(None, &term, None);
        assert_eq!(
            (all.len(), all[0].host, all[0].epoch),
            (1, HostId(9), Epoch(2))
        );
    }
}
