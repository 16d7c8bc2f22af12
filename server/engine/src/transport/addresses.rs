//! Which addresses of the participant passed ICE, which of them it nominated, and from which of the host's own each is answered.
//!
//! A relayed address (TURN) is one of the host's own. The participant may be known by one and the same address directly and by the relay:
//! so each check is answered from where it came to, and everything else goes the way of the last nomination.

use std::net::{IpAddr, SocketAddr};

use super::stun::TransactionId;

/// Addresses one participant may have verified at a time: interfaces times families, and NATs that changed their mind.
const MAX_ADDRESSES: usize = 16;
/// Checks that wait for rtc's response; rtc answers at once or, for a nomination, one round trip later.
const MAX_REQUESTS: usize = 32;

#[derive(Debug)]
struct Request {
    remote: SocketAddr,
    local: SocketAddr,
    transaction: TransactionId,
    is_nomination: bool,
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

    /// A check came: not to be believed before rtc has verified its MESSAGE-INTEGRITY.
    pub(super) fn note_request(
        &mut self,
        remote: SocketAddr,
        local: SocketAddr,
        transaction: TransactionId,
        is_nomination: bool,
    ) {
        if self
            .requests
            .iter()
            .any(|r| r.remote == remote && r.transaction == transaction)
        {
            return;
        }
        if self.requests.len() == MAX_REQUESTS {
            self.requests.remove(0);
        }
        self.requests.push(Request {
            remote,
            local,
            transaction,
            is_nomination,
        });
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
            .position(|r| r.remote == remote && r.transaction == transaction)?;
        let Request {
            local,
            is_nomination,
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
            is_new_path: self.follow(remote, source, is_nomination),
        })
    }

    /// Takes the path there, or the path's own end elsewhere. True if it is another path than before.
    fn follow(&mut self, remote: SocketAddr, source: IpAddr, is_nomination: bool) -> bool {
        let relayed = self.relayed;
        let is_relayed = |ip: IpAddr| Some(ip) == relayed;
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
            });
        }
        is_nomination && !is_same_way
    }

    /// rtc chose a path by itself (full ICE): its own check succeeded there.
    pub(super) fn select(&mut self, remote: SocketAddr) {
        let local = self.source(remote);
        self.path = Some(Path { remote, local });
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
            self.count += 1;
            let transaction = [self.count; 12];
            let addresses = &mut self.addresses;
            addresses.note_request(remote(), local, transaction, is_nomination);
            let answered = addresses.note_success(remote(), transaction);
            answered.expect("it was asked")
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
}
