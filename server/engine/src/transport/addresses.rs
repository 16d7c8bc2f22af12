//! Which addresses of the participant passed ICE, which of them it nominated, and from which of the host's own each is answered.
//!
//! A relayed address (TURN) is one of the host's own. The participant may be known by one and the same address directly and by the relay:
//! so each check is answered from where it came to, and everything else goes the way of the last nomination.

use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;

use super::stun::{Check, TransactionId};

/// Addresses one participant may have verified at a time: interfaces times families, and NATs that changed their mind.
const MAX_ADDRESSES: usize = 16;
/// Checks that wait for rtc's response; rtc answers at once or, for a nomination, one round trip later.
const MAX_REQUESTS: usize = 32;

#[derive(Debug)]
struct Request {
    remote: SocketAddr,
    local: SocketAddr,
    check: Check,
    /// A nomination as it came, until rtc gets it again.
    whole: Option<BytesMut>,
    /// rtc got it again.
    is_late: bool,
}

#[derive(Debug)]
struct Verified {
    remote: SocketAddr,
    local: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Path {
    remote: SocketAddr,
    /// `None`: nothing came from there yet.
    local: Option<IpAddr>,
    /// Of the check that nominated it.
    priority: u32,
}

/// A check that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// The own address it came to.
    pub(super) source: IpAddr,
    /// It changed the path.
    pub(super) is_new_path: bool,
}

/// Oldest entries make room for new ones, in both lists.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    requests: Vec<Request>,
    verified: Vec<Verified>,
    path: Option<Path>,
    /// Which of the own addresses is at a relay.
    relayed: Option<IpAddr>,
}

impl Addresses {
    /// Something came by way of a relay, to this address there.
    pub(super) fn note_relayed(&mut self, local: IpAddr) {
        self.relayed = Some(local);
    }

    /// A check came, and this is the whole of it: not to be believed before rtc has verified its MESSAGE-INTEGRITY.
    pub(super) fn note_request(
        &mut self,
        remote: SocketAddr,
        local: SocketAddr,
        check: Check,
        whole: &[u8],
    ) {
        if self
            .requests
            .iter()
            .any(|r| r.remote == remote && r.check.transaction == check.transaction)
        {
            return;
        }
        if self.requests.len() == MAX_REQUESTS {
            self.requests.remove(0);
        }
        self.requests.push(Request {
            remote,
            local,
            check,
            whole: check.is_nomination.then(|| BytesMut::from(whole)),
            is_late: false,
        });
    }

    /// A nomination from there that rtc has left unanswered, and the address it came to; each of them once.
    pub(super) fn take_unanswered(&mut self, remote: SocketAddr) -> Option<(SocketAddr, BytesMut)> {
        let mut from_there = self.requests.iter_mut().filter(|r| r.remote == remote);
        from_there.find_map(|request| {
            let whole = request.whole.take()?;
            request.is_late = true;
            Some((request.local, whole))
        })
    }

    /// rtc answered a check with success: the sender knows the password.
    pub(super) fn note_success(
        &mut self,
        remote: SocketAddr,
        transaction: TransactionId,
    ) -> Option<Answered> {
        let index = self
            .requests
            .iter()
            .position(|r| r.remote == remote && r.check.transaction == transaction)?;
        let Request {
            local,
            check,
            is_late,
            ..
        } = self.requests.remove(index);
        match self.verified.iter_mut().find(|v| v.remote == remote) {
            Some(known) => known.local = local,
            None => {
                if self.verified.len() == MAX_ADDRESSES {
                    let path = self.path();
                    let spare = self.verified.iter().position(|v| Some(v.remote) != path);
                    self.verified.remove(spare.unwrap_or(0));
                }
                self.verified.push(Verified { remote, local });
            }
        }
        let source = local.ip();
        Some(Answered {
            source,
            is_new_path: self.follow(remote, source, check, is_late),
        })
    }

    /// Takes the path there, or the path's own end elsewhere. True if it is another path than before.
    fn follow(&mut self, remote: SocketAddr, source: IpAddr, check: Check, is_late: bool) -> bool {
        let relayed = self.relayed;
        let is_relayed = |ip: IpAddr| Some(ip) == relayed;
        // Whoever nominates in every check goes by the best pair, not by the one that is answered last (RFC 5245 section 8.1.1.2).
        let is_better = self.path.is_none_or(|path| {
            let rank = |local: Option<IpAddr>, priority| (!local.is_some_and(is_relayed), priority);
            rank(Some(source), check.priority) > rank(path.local, path.priority)
        });
        let is_nomination = check.is_nomination && (is_better || !is_late);
        let known = self.path.filter(|path| path.remote == remote);
        let is_same_way = known.is_some_and(|path| {
            path.local
                .is_none_or(|local| is_relayed(local) == is_relayed(source))
        });
        // Ways that are held in reserve are checked all the time: only a nomination leads from the relay to a direct one, or back.
        if is_nomination || is_same_way {
            self.path = Some(Path {
                remote,
                local: Some(source),
                priority: match known {
                    Some(path) if !is_nomination => path.priority,
                    _ => check.priority,
                },
            });
        }
        is_nomination && !is_same_way
    }

    /// rtc chose a path by itself (full ICE): its own check succeeded there.
    pub(super) fn select(&mut self, remote: SocketAddr) {
        let local = self.source(remote);
        self.path = Some(Path {
            remote,
            local,
            priority: u32::MAX,
        });
    }

    /// ICE restarts: the addresses stay believed, the next nomination names the path.
    pub(super) fn forget_path(&mut self) {
        self.path = None;
        self.requests.clear();
    }

    /// The address in use.
    pub(super) fn path(&self) -> Option<SocketAddr> {
        self.path.map(|path| path.remote)
    }

    /// The own end of it.
    pub(super) fn path_source(&self) -> Option<IpAddr> {
        self.path?.local
    }

    /// Did this address pass ICE?
    pub(super) fn is_verified(&self, remote: SocketAddr) -> bool {
        self.path() == Some(remote) || self.verified.iter().any(|v| v.remote == remote)
    }

    /// The local address that `remote` sends to, or sent to last.
    pub(super) fn source(&self, remote: SocketAddr) -> Option<IpAddr> {
        let path = self.path.filter(|path| path.remote == remote);
        if let Some(local) = path.and_then(|path| path.local) {
            return Some(local);
        }
        let verified = self.verified.iter().map(|v| (v.remote, v.local));
        let requests = self.requests.iter().map(|r| (r.remote, r.local));
        verified
            .chain(requests)
            .find(|(r, _)| *r == remote)
            .map(|(_, local)| local.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Guest {
        addresses: Addresses,
        count: u8,
    }

    impl Guest {
        /// A check from the only address that the guest has, to one of the host's.
        fn check(&mut self, local: SocketAddr, is_nomination: bool) -> Answered {
            let check = self.next(is_nomination, 1);
            let addresses = &mut self.addresses;
            addresses.note_request(remote(), local, check, &[]);
            let answered = addresses.note_success(remote(), check.transaction);
            answered.expect("it was asked")
        }

        /// A nomination from an address of the guest's to one of the host's, which is answered at the second time.
        fn nominate_late(
            &mut self,
            (from, local): (SocketAddr, SocketAddr),
            priority: u32,
        ) -> Answered {
            let check = self.next(true, priority);
            let addresses = &mut self.addresses;
            addresses.note_request(from, local, check, &[1]);
            let again = addresses.take_unanswered(from);
            assert_eq!(again, Some((local, BytesMut::from(&[1][..]))));
            assert_eq!(addresses.take_unanswered(from), None, "once");
            let answered = addresses.note_success(from, check.transaction);
            answered.expect("it was asked")
        }

        fn next(&mut self, is_nomination: bool, priority: u32) -> Check {
            self.count += 1;
            Check {
                transaction: [self.count; 12],
                is_nomination,
                priority,
            }
        }
    }

    fn remote() -> SocketAddr {
        SocketAddr::from(([203, 0, 113, 7], 40000))
    }

    /// A NAT that keeps one port for all shows the guest under the same address directly and by the relay.
    #[test]
    fn each_check_is_answered_where_it_came_and_only_a_nomination_changes_the_way() {
        let direct = SocketAddr::from(([10, 0, 0, 2], 7000));
        let elsewhere = SocketAddr::from(([10, 0, 1, 2], 7000));
        let relayed = SocketAddr::from(([198, 51, 100, 1], 50000));
        let mut guest = Guest {
            addresses: Addresses::default(),
            count: 0,
        };
        guest.addresses.note_relayed(relayed.ip());
        let answered = |source: SocketAddr, is_new_path| Answered {
            source: source.ip(),
            is_new_path,
        };
        assert_eq!(guest.check(relayed, false), answered(relayed, false));
        assert_eq!(guest.addresses.path(), None);
        assert_eq!(guest.check(relayed, true), answered(relayed, true));
        assert_eq!(guest.check(direct, false), answered(direct, false));
        let source = |guest: &Guest| guest.addresses.source(remote());
        assert_eq!(source(&guest), Some(relayed.ip()), "held in reserve");
        assert_eq!(guest.check(direct, true), answered(direct, true));
        assert_eq!(source(&guest), Some(direct.ip()));
        assert_eq!(guest.check(relayed, false), answered(relayed, false));
        assert_eq!(source(&guest), Some(direct.ip()));
        // Among its own addresses the host follows.
        assert_eq!(guest.check(elsewhere, false), answered(elsewhere, false));
        assert_eq!(source(&guest), Some(elsewhere.ip()));
        assert_eq!(guest.addresses.path(), Some(remote()));
    }

    /// Firefox nominates every pair, by UDP and by TCP, and stays with the best.
    #[test]
    fn of_nominations_that_are_answered_late_the_best_names_the_path() {
        let mut guest = Guest {
            addresses: Addresses::default(),
            count: 0,
        };
        let direct = SocketAddr::from(([10, 0, 0, 2], 7000));
        let relayed = SocketAddr::from(([198, 51, 100, 1], 50000));
        guest.addresses.note_relayed(relayed.ip());
        let from = |port| SocketAddr::from(([203, 0, 113, 7], port));
        let mut follows = |pair, priority| guest.nominate_late(pair, priority).is_new_path;
        assert!(follows((from(1), relayed), 40), "the first");
        assert!(follows((from(1), direct), 40), "without the relay");
        assert!(!follows((from(1), relayed), 50), "by the relay");
        assert!(!follows((from(2), direct), 30), "worse");
        assert!(follows((from(3), direct), 50), "better");
        assert_eq!(guest.addresses.path(), Some(from(3)));
        assert!(guest.addresses.is_verified(from(2)), "held in reserve");
        // Whoever nominates once means it.
        assert!(guest.check(direct, true).is_new_path);
        assert_eq!(guest.addresses.path(), Some(remote()));
    }
}
