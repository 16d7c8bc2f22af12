//! Datagrams that reached the wrong worker, and how they reach the right one.
//!
//! All workers share one UDP port; the kernel spreads senders over their sockets without knowing legs. A worker that
//! does not know a sender looks at the ICE user fragment of its STUN requests, which names the leg and so the worker,
//! and remembers the sender's address for everything else that comes from it. Owns that knowledge and the queues
//! between workers. With one worker none of this exists.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::mpsc;

/// Datagrams of one sender on their way to another worker: `stride` bytes each, the last may be shorter.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) stride: usize,
    pub(crate) bytes: Vec<u8>,
    from: usize,
}

/// What became of datagrams that are not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handover {
    /// On their way.
    Sent,
    /// The other worker's queue is full, or all buffers are on their way.
    Full,
    /// Nobody's.
    Unknown,
}

/// One worker's view of the others.
#[derive(Debug)]
pub(crate) struct Neighbours {
    me: usize,
    directory: Arc<Directory>,
    addresses: RecentAddresses,
    workers: Vec<Mailbox>,
    parcels: mpsc::Receiver<Parcel>,
    spare: mpsc::Receiver<Vec<u8>>,
    buffers: usize,
}

/// Where a worker takes parcels, and its own buffers back.
#[derive(Clone, Debug)]
struct Mailbox {
    parcels: mpsc::Sender<Parcel>,
    spare: mpsc::Sender<Vec<u8>>,
}

impl Neighbours {
    /// The views of `count` workers; `None` for a worker without neighbours.
    pub(crate) fn introduce(count: usize) -> Vec<Option<Self>> {
        if count <= 1 {
            return vec![None];
        }
        let directory = Arc::new(Directory::default());
        let (workers, inboxes): (Vec<_>, Vec<_>) = (0..count)
            .map(|_| {
                let (parcels, inbox) = mpsc::channel(BUFFERS);
                let (spare, returned) = mpsc::channel(BUFFERS);
                (Mailbox { parcels, spare }, (inbox, returned))
            })
            .unzip();
        let view = |(me, (parcels, spare))| {
            Some(Self {
                me,
                directory: Arc::clone(&directory),
                addresses: RecentAddresses::default(),
                workers: workers.clone(),
                parcels,
                spare,
                buffers: 0,
            })
        };
        inboxes.into_iter().enumerate().map(view).collect()
    }

    /// Who has which leg, for those who are no worker.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory)
    }

    /// STUN requests for `ufrag` belong to this worker.
    pub(crate) fn claim(&self, ufrag: String) {
        self.directory.insert(ufrag, self.me);
    }

    /// And no more.
    pub(crate) fn release(&self, ufrag: &str) {
        self.directory.remove(ufrag);
    }

    /// Hands over datagrams that the own engine does not know; `bytes` starts with the first of them.
    pub(crate) fn hand_over(
        &mut self,
        remote: SocketAddr,
        local: SocketAddr,
        stride: usize,
        bytes: &[u8],
    ) -> Handover {
        let Some(owner) = self.owner(remote, bytes.get(..stride).unwrap_or(bytes)) else {
            return Handover::Unknown;
        };
        let Some(mut buffer) = self.buffer() else {
            return Handover::Full;
        };
        buffer.clear();
        buffer.extend_from_slice(bytes);
        let parcel = Parcel {
            remote,
            local,
            stride,
            bytes: buffer,
            from: self.me,
        };
        let Some(mailbox) = self.workers.get(owner) else {
            return Handover::Unknown;
        };
        match mailbox.parcels.try_send(parcel) {
            Ok(()) => Handover::Sent,
            Err(
                mpsc::error::TrySendError::Full(parcel) | mpsc::error::TrySendError::Closed(parcel),
            ) => {
                self.give_back(parcel);
                Handover::Full
            }
        }
    }

    /// The next parcel from another worker.
    pub(crate) async fn arrived(&mut self) -> Option<Parcel> {
        self.parcels.recv().await
    }

    /// The next parcel from another worker, if there is one now.
    pub(crate) fn try_take(&mut self) -> Option<Parcel> {
        self.parcels.try_recv().ok()
    }

    /// Returns a parcel's buffer to the worker that filled it.
    pub(crate) fn give_back(&self, parcel: Parcel) {
        if let Some(home) = self.workers.get(parcel.from) {
            // Fits: there are never more buffers of a worker than its queue has room for.
            let _ = home.spare.try_send(parcel.bytes);
        }
    }

    fn owner(&mut self, remote: SocketAddr, first: &[u8]) -> Option<usize> {
        let named = baton_engine::stun_ufrag(first).and_then(|ufrag| self.directory.owner(ufrag));
        match named {
            Some(owner) => self.addresses.insert(remote, owner),
            None => return self.addresses.find(&remote).filter(|&o| o != self.me),
        }
        named.filter(|&owner| owner != self.me)
    }

    fn buffer(&mut self) -> Option<Vec<u8>> {
        if let Ok(buffer) = self.spare.try_recv() {
            return Some(buffer);
        }
        if self.buffers == BUFFERS {
            return None;
        }
        self.buffers += 1;
        Some(Vec::with_capacity(FIRST_CAPACITY))
    }
}

/// ICE user fragment to worker, for all workers. Touched when legs come and go, and by STUN of unknown senders.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    owners: RwLock<HashMap<String, usize>>,
}

impl Directory {
    fn insert(&self, ufrag: String, owner: usize) {
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        owners.insert(ufrag, owner);
    }

    fn remove(&self, ufrag: &str) {
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        owners.remove(ufrag);
    }

    pub(crate) fn owner(&self, ufrag: &str) -> Option<usize> {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        owners.get(ufrag).copied()
    }
}

/// Sender to worker, bounded: when the young half is full it becomes the old half, and what was old is forgotten.
/// A sender that is forgotten is learned again from its next STUN request, at most seconds later.
#[derive(Debug, Default)]
struct RecentAddresses {
    young: HashMap<SocketAddr, usize>,
    old: HashMap<SocketAddr, usize>,
}

impl RecentAddresses {
    fn insert(&mut self, remote: SocketAddr, owner: usize) {
        if self.young.len() >= ADDRESSES && !self.young.contains_key(&remote) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(remote, owner);
    }

    fn find(&self, remote: &SocketAddr) -> Option<usize> {
        self.young
            .get(remote)
            .or_else(|| self.old.get(remote))
            .copied()
    }
}

/// Parcels of one worker that may be on their way, to all others together.
const BUFFERS: usize = 256;

/// Senders in one half of a worker's table.
const ADDRESSES: usize = 4096;

/// A few datagrams; a buffer that needs more grows once and keeps its size.
const FIRST_CAPACITY: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    fn remote(port: u16) -> SocketAddr {
        SocketAddr::new(LOCAL.ip(), port)
    }

    fn pair() -> (Neighbours, Neighbours) {
        let mut views = Neighbours::introduce(2).into_iter().flatten();
        (views.next().unwrap(), views.next().unwrap())
    }

    fn binding_request(ufrag: &str) -> Vec<u8> {
        crate::host::tests::binding_request(ufrag)
    }

    #[test]
    fn a_single_worker_has_no_neighbours() {
        assert!(matches!(Neighbours::introduce(1).as_slice(), [None]));
    }

    #[test]
    fn a_stun_request_teaches_where_everything_else_of_its_sender_goes() {
        let (mut first, mut second) = pair();
        assert_eq!(
            first.hand_over(remote(9), LOCAL, 3, b"rtp"),
            Handover::Unknown
        );
        second.claim("abc".to_owned());
        let stun = binding_request("abc");
        let length = stun.len();
        assert_eq!(
            first.hand_over(remote(9), LOCAL, length, &stun),
            Handover::Sent
        );
        assert_eq!(
            first.hand_over(remote(9), LOCAL, 3, b"rtpmedia"),
            Handover::Sent
        );
        assert_eq!(second.try_take().unwrap().bytes, stun);
        let parcel = second.try_take().unwrap();
        assert_eq!(
            (parcel.stride, parcel.bytes.as_slice()),
            (3, b"rtpmedia".as_slice())
        );
        assert_eq!(parcel.remote, remote(9));
        second.release("abc");
        assert_eq!(
            first.hand_over(remote(8), LOCAL, length, &stun),
            Handover::Unknown
        );
    }

    #[test]
    fn a_worker_does_not_hand_over_to_itself() {
        let (mut first, _second) = pair();
        first.claim("abc".to_owned());
        let stun = binding_request("abc");
        assert_eq!(
            first.hand_over(remote(9), LOCAL, 999, &stun),
            Handover::Unknown
        );
    }

    #[test]
    fn a_slow_neighbour_costs_drops_and_no_memory_and_its_buffers_come_back() {
        let (mut first, mut second) = pair();
        second.claim("abc".to_owned());
        let stun = binding_request("abc");
        for _ in 0..BUFFERS {
            assert_eq!(first.hand_over(remote(9), LOCAL, 99, &stun), Handover::Sent);
        }
        assert_eq!(first.hand_over(remote(9), LOCAL, 99, &stun), Handover::Full);
        let parcel = second.try_take().unwrap();
        second.give_back(parcel);
        assert_eq!(first.buffer().unwrap(), stun);
        assert_eq!(first.buffers, BUFFERS);
    }

    #[test]
    fn the_address_table_stays_bounded_and_keeps_the_recent() {
        let mut table = RecentAddresses::default();
        for n in 0..u16::MAX {
            table.insert(remote(n), 1);
            assert!(table.young.len() + table.old.len() <= 2 * ADDRESSES);
        }
        assert_eq!(table.find(&remote(u16::MAX - 1)), Some(1));
        assert_eq!(table.find(&remote(0)), None);
    }
}
