//! A way into a host for somebody in the same process: datagrams go through bounded queues instead of a network.
//!
//! To the worker it is a connection like those by TCP (`streams`). Does not own: who uses it, nor what the datagrams say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::mpsc;

use super::framing;
use super::streams::{Exchange, Happening, Outgoing, Patience, Place};

/// The door of one host. Cheap to copy.
#[derive(Clone, Debug)]
pub struct Inside {
    exchange: Exchange,
    addresses: Arc<[SocketAddr]>,
}

/// One guest's wire. Dropping it hangs up.
#[derive(Debug)]
pub struct Wire {
    guest: SocketAddr,
    host: SocketAddr,
    worker: mpsc::Sender<Happening>,
    outgoing: Outgoing,
    /// Came together, and how far they were read.
    came: (Vec<u8>, usize),
    /// Datagrams for which there was no room and of which the worker does not know yet.
    lost: u32,
    place: Place,
}

impl Inside {
    pub(super) fn new(exchange: Exchange, addresses: &[SocketAddr]) -> Self {
        Self {
            exchange,
            addresses: addresses.into(),
        }
    }

    /// Does this address lead to the host?
    pub fn leads(&self, to: SocketAddr) -> bool {
        self.addresses.contains(&to)
    }

    /// Has the host an address of IPv4?
    pub fn has_v4(&self) -> bool {
        self.addresses.iter().any(SocketAddr::is_ipv4)
    }

    /// Opens a wire for a guest who would send `first` from `guest` to `host`; it is not sent yet. `None`: the host does not expect
    /// it, or not now.
    pub fn open(&self, guest: SocketAddr, host: SocketAddr, first: &[u8]) -> Option<Wire> {
        let worker = self.exchange.worker(first)?.clone();
        let (outbox, outgoing, place) = self.exchange.outbox(guest.ip(), Patience::Inside)?;
        let opened = Happening::Opened {
            remote: guest,
            outbox,
        };
        worker.try_send(opened).ok()?;
        Some(Wire {
            guest,
            host,
            worker,
            outgoing,
            came: (Vec::new(), 0),
            lost: 0,
            place,
        })
    }
}

impl Wire {
    /// Sends datagrams of `size` bytes each, the last one of what is left. Where there is no room they are lost, and the host
    /// counts them as soon as there is. False: the host has hung up.
    pub fn send(&mut self, datagrams: &[u8], size: usize) -> bool {
        let size = size.clamp(1, framing::MAX_FRAME);
        let count = datagrams.len().div_ceil(size);
        let mut frames = Vec::with_capacity(datagrams.len() + 2 * count);
        for datagram in datagrams.chunks(size) {
            framing::push(&mut frames, datagram);
        }
        let sent = self.worker.try_send(Happening::Frames {
            remote: self.guest,
            local: self.host,
            frames,
            lost: self.lost,
        });
        match sent {
            Ok(()) => self.lost = 0,
            Err(mpsc::error::TrySendError::Full(_)) => {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                self.lost = self.lost.saturating_add(count);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return false,
        }
        !self.outgoing.is_closed()
    }

    /// The next datagram of the host, written to `buffer`: its length. `None`: the host has hung up.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Option<usize>> {
        loop {
            let (bytes, at) = &mut self.came;
            if let Some(datagram) = framing::next(bytes, at) {
                // As from a socket: what a reader has no room for is cut off.
                let len = buffer.len().min(datagram.len());
                if let (Some(to), Some(from)) = (buffer.get_mut(..len), datagram.get(..len)) {
                    to.copy_from_slice(from);
                }
                return Poll::Ready(Some(len));
            }
            let Some(framed) = ready!(self.outgoing.poll(cx)) else {
                return Poll::Ready(None);
            };
            self.came = (framed, 0);
        }
    }

    /// The address of the host to which it leads.
    pub fn host(&self) -> SocketAddr {
        self.host
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // A full queue loses it: the worker looks for connections that are gone, too.
        let _ = self.worker.try_send(Happening::Closed {
            remote: self.guest,
            number: self.place.number(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::Traffic;
    use super::super::streams::{QUEUE, Streams};
    use super::*;
    use baton_engine::Transmit;
    use std::task::Waker;

    /// A STUN request for the user fragment `host`.
    fn request() -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend([7; 12]);
        bytes.extend([0, 6, 0, 10]);
        bytes.extend(b"host:guest\0\0");
        bytes
    }

    fn door(queue: usize) -> (Inside, mpsc::Receiver<Happening>) {
        let (worker, happenings) = mpsc::channel(queue);
        let exchange = Exchange::new(vec![worker], None);
        (Inside::new(exchange, &[host()]), happenings)
    }

    fn host() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 7881))
    }

    fn guest() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 5000))
    }

    fn transmit(size: usize) -> Transmit {
        Transmit {
            destination: guest(),
            source: None,
            size,
            segment_size: Some(1000),
        }
    }

    /// What the worker would do with what came.
    fn opened(happenings: &mut mpsc::Receiver<Happening>, streams: &mut Streams) {
        let Ok(Happening::Opened { remote, outbox }) = happenings.try_recv() else {
            panic!("nobody came");
        };
        streams.insert(remote, outbox);
    }

    fn read(wire: &mut Wire) -> Poll<Option<usize>> {
        wire.poll_recv(&mut Context::from_waker(Waker::noop()), &mut [0; 2000])
    }

    #[test]
    fn datagrams_pass_both_ways_as_they_are() {
        let (inside, mut happenings) = door(QUEUE);
        assert!(inside.leads(host()) && !inside.leads(guest()));
        assert!(inside.open(guest(), host(), b"no request").is_none());
        let mut wire = inside.open(guest(), host(), &request()).unwrap();
        let mut streams = Streams::default();
        opened(&mut happenings, &mut streams);
        assert!(wire.send(&[5; 2500], 1000));
        let Ok(Happening::Frames { mut frames, .. }) = happenings.try_recv() else {
            panic!("nothing came");
        };
        let mut at = 0;
        let sizes = std::iter::from_fn(|| framing::next(&mut frames, &mut at).map(|one| one.len()));
        assert_eq!(sizes.collect::<Vec<_>>(), [1000, 1000, 500]);

        let mut traffic = Traffic::default();
        assert!(streams.send(&transmit(2500), &[128; 2500], &mut traffic));
        assert!(streams.send(&transmit(100), &[6; 100], &mut traffic));
        for size in [1000, 1000, 500, 100] {
            assert_eq!(read(&mut wire), Poll::Ready(Some(size)));
        }
        assert_eq!(read(&mut wire), Poll::Pending);
        assert_eq!(traffic.inside_bytes, 2500, "the rest is no media");
        streams.close(guest());
        assert_eq!(read(&mut wire), Poll::Ready(None));
        assert!(!wire.send(&[5; 10], 10), "the host hung up");
    }

    #[test]
    fn a_whole_picture_has_room_and_a_guest_who_does_not_read_is_bounded() {
        let (inside, mut happenings) = door(QUEUE);
        let wire = inside.open(guest(), host(), &request()).unwrap();
        let mut streams = Streams::default();
        opened(&mut happenings, &mut streams);
        let mut traffic = Traffic::default();
        let picture = vec![6; 400_000];
        streams.send(&transmit(400_000), &picture, &mut traffic);
        assert_eq!(traffic.stream_dropped, 0);
        for _ in 0..9 {
            streams.send(&transmit(400_000), &picture, &mut traffic);
        }
        assert!(
            (2000..4000).contains(&traffic.stream_dropped),
            "{traffic:?}"
        );
        drop(wire);
    }

    #[test]
    fn what_a_full_host_loses_is_told_with_what_comes_through() {
        let (inside, mut happenings) = door(2);
        let mut wire = inside.open(guest(), host(), &request()).unwrap();
        let mut streams = Streams::default();
        for _ in 0..3 {
            assert!(wire.send(&[5; 2000], 1000));
        }
        opened(&mut happenings, &mut streams);
        while happenings.try_recv().is_ok() {}
        assert!(wire.send(&[5; 10], 10));
        let Ok(Happening::Frames { lost, .. }) = happenings.try_recv() else {
            panic!("nothing came");
        };
        assert_eq!(lost, 4);
    }

    #[test]
    fn a_wire_that_is_gone_is_forgotten_also_where_the_host_did_not_hear_it() {
        let (inside, mut happenings) = door(1);
        let wire = inside.open(guest(), host(), &request()).unwrap();
        drop(wire);
        let mut streams = Streams::default();
        opened(&mut happenings, &mut streams);
        assert!(happenings.try_recv().is_err(), "there was no room for it");
        assert!(streams.has(guest()));
        streams.sweep();
        assert!(!streams.has(guest()));
    }

    #[test]
    fn a_host_that_is_gone_lets_nobody_in() {
        let (inside, happenings) = door(QUEUE);
        let mut wire = inside.open(guest(), host(), &request()).unwrap();
        drop(happenings);
        assert!(!wire.send(&[5; 10], 10));
        assert_eq!(read(&mut wire), Poll::Ready(None));
        assert!(inside.open(guest(), host(), &request()).is_none());
    }
}
