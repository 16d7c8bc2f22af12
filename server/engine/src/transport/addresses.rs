//! Which addresses of the participant passed ICE, and which of them it nominated.

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

/// Oldest entries make room for new ones, in both lists.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    requests: Vec<Request>,
    verified: Vec<Verified>,
    path: Option<SocketAddr>,
}

impl Addresses {
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

    /// rtc answered a check with success: the sender knows the password. Returns the path if that changed it.
    pub(super) fn note_success(
        &mut self,
        remote: SocketAddr,
        transaction: TransactionId,
    ) -> Option<SocketAddr> {
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
                    let spare = self
                        .verified
                        .iter()
                        .position(|v| Some(v.remote) != self.path);
                    self.verified.remove(spare.unwrap_or(0));
                }
                self.verified.push(Verified { remote, local });
            }
        }
        if !is_nomination || self.path == Some(remote) {
            return None;
        }
        self.path = Some(remote);
        self.path
    }

    /// rtc chose a path by itself (full ICE): its own check succeeded there.
    pub(super) fn select(&mut self, remote: SocketAddr) {
        self.path = Some(remote);
    }

    /// ICE restarts: the addresses stay believed, the next nomination names the path.
    pub(super) fn forget_path(&mut self) {
        self.path = None;
        self.requests.clear();
    }

    /// The address in use.
    pub(super) fn path(&self) -> Option<SocketAddr> {
        self.path
    }

    /// Did this address pass ICE?
    pub(super) fn is_verified(&self, remote: SocketAddr) -> bool {
        self.path == Some(remote) || self.verified.iter().any(|v| v.remote == remote)
    }

    /// The local address that `remote` sends to.
    pub(super) fn source(&self, remote: SocketAddr) -> Option<IpAddr> {
        let verified = self.verified.iter().map(|v| (v.remote, v.local));
        let requests = self.requests.iter().map(|r| (r.remote, r.local));
        verified
            .chain(requests)
            .find(|(r, _)| *r == remote)
            .map(|(_, local)| local.ip())
    }
}
