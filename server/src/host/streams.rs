//! Media over TCP, for networks without UDP (RFC 6544 passive, RFC 4571 framing): accepting connections, cutting them into
//! datagrams, and bounded queues between them and the workers.
//!
//! A connection is a task of the control side; a worker sees a sender of datagrams like any other, and [`Streams`] knows
//! which addresses are connections. Does not own: whose a connection is, which its first STUN request says.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use baton_engine::Transmit;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::framing;
use super::handover::Directory;
use super::snapshot::Traffic;

/// Listens on the address of the media; on every address of both families if that is IPv6 and `is_dual`.
pub(crate) fn listen(media: SocketAddr, is_dual: bool) -> io::Result<Vec<std::net::TcpListener>> {
    let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), media.port());
    let addresses = [Some(media), is_dual.then_some(v4)];
    addresses.into_iter().flatten().map(listen_on).collect()
}

fn listen_on(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of the process before, that linger, shall not keep the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// What a worker hears of connections.
#[derive(Debug)]
pub(crate) enum Happening {
    /// One whose first request names a leg of this worker.
    Opened { remote: SocketAddr, outbox: Outbox },
    /// Whole frames came.
    Frames {
        remote: SocketAddr,
        local: SocketAddr,
        frames: Vec<u8>,
        /// Datagrams that did not find room before these.
        lost: u32,
    },
    /// It is over.
    Closed { remote: SocketAddr, number: u64 },
}

/// The worker's end of one connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    number: u64,
    patience: Patience,
    queue: mpsc::UnboundedSender<Vec<u8>>,
    /// Bytes in the queue.
    waiting: Arc<AtomicUsize>,
}

/// How much may wait for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// What waits for a network is late soon.
    Network,
    /// Whoever is in the same process is late only by what the processor has to do, and a picture comes at once.
    Inside,
}

impl Patience {
    /// Bytes.
    fn most(self) -> usize {
        match self {
            Self::Network => MAX_WAITING,
            Self::Inside => MAX_WAITING_INSIDE,
        }
    }
}

/// The connection's end of the same queue.
#[derive(Debug)]
pub(super) struct Outgoing {
    frames: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

impl Outgoing {
    /// The next frames, which came together; `None` where the worker has hung up.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        let framed = ready!(self.frames.poll_recv(cx));
        let len = framed.as_ref().map_or(0, Vec::len);
        self.waiting.fetch_sub(len, Ordering::Relaxed);
        Poll::Ready(framed)
    }

    /// Has the worker hung up?
    pub(super) fn is_closed(&self) -> bool {
        self.frames.is_closed()
    }
}

/// The connections of one worker. Dropping an outbox closes its connection once what waits is written.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: HashMap<SocketAddr, Outbox>,
}

impl Streams {
    pub(crate) fn insert(&mut self, remote: SocketAddr, outbox: Outbox) {
        self.open.insert(remote, outbox);
    }

    /// Forgets a connection, unless its address belongs to a later one.
    pub(crate) fn remove(&mut self, remote: SocketAddr, number: u64) {
        if self
            .open
            .get(&remote)
            .is_some_and(|open| open.number == number)
        {
            self.open.remove(&remote);
        }
    }

    /// Forgets connections whose end was not heard.
    pub(crate) fn sweep(&mut self) {
        self.open.retain(|_, outbox| !outbox.queue.is_closed());
    }

    /// Hangs up.
    pub(crate) fn close(&mut self, remote: SocketAddr) {
        self.open.remove(&remote);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Is this address a connection? Costs nothing while there is none.
    pub(crate) fn has(&self, remote: SocketAddr) -> bool {
        !self.open.is_empty() && self.open.contains_key(&remote)
    }

    /// Takes a transmit that is for a connection. What does not fit its queue is lost, the newest first: true congestion is
    /// for the estimator to see. False: it is not for a connection.
    pub(crate) fn send(&self, transmit: &Transmit, bytes: &[u8], traffic: &mut Traffic) -> bool {
        if self.open.is_empty() {
            return false;
        }
        let Some(outbox) = self.open.get(&transmit.destination) else {
            return false;
        };
        if outbox.patience == Patience::Inside && is_media(bytes) {
            traffic.inside_bytes += bytes.len() as u64;
        }
        let segment = transmit.segment_size.filter(|&size| size > 0);
        let segment = segment.unwrap_or(bytes.len()).max(1);
        let waiting = outbox.waiting.load(Ordering::Relaxed);
        let mut framed = Vec::with_capacity(bytes.len() + 2 * bytes.len().div_ceil(segment));
        for datagram in bytes.chunks(segment) {
            if waiting + framed.len() + datagram.len() > outbox.patience.most()
                || !framing::push(&mut framed, datagram)
            {
                traffic.stream_dropped += 1;
            }
        }
        if framed.is_empty() {
            return true;
        }
        outbox.waiting.fetch_add(framed.len(), Ordering::Relaxed);
        // The other end is gone: the news is on its way.
        let _ = outbox.queue.send(framed);
        true
    }
}

/// Where connections go: the queues of all workers.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    workers: Vec<mpsc::Sender<Happening>>,
    /// None where there is one worker only.
    directory: Option<Arc<Directory>>,
    places: Arc<Places>,
}

impl Exchange {
    pub(crate) fn new(
        workers: Vec<mpsc::Sender<Happening>>,
        directory: Option<Arc<Directory>>,
    ) -> Self {
        Self {
            workers,
            directory,
            places: Arc::default(),
        }
    }

    /// The two ends of a queue to a connection from that address, and the connection's place.
    pub(super) fn outbox(
        &self,
        from: IpAddr,
        patience: Patience,
    ) -> Option<(Outbox, Outgoing, Place)> {
        let place = Places::take(&self.places, from)?;
        let (queue, frames) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let outbox = Outbox {
            number: place.number,
            patience,
            queue,
            waiting: Arc::clone(&waiting),
        };
        Some((outbox, Outgoing { frames, waiting }, place))
    }

    /// Accepts until it is aborted.
    pub(crate) async fn accept(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => {
                    if let Some(ends) = self.outbox(remote.ip(), Patience::Network) {
                        tokio::spawn(converse(self.clone(), stream, remote, ends));
                    }
                }
                // No file handles, most likely: others need time to give theirs back.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a media connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// The worker that has the leg which the first datagram asks for.
    pub(super) fn worker(&self, first: &[u8]) -> Option<&mpsc::Sender<Happening>> {
        let ufrag = baton_engine::stun_ufrag(first)?;
        match &self.directory {
            Some(directory) => self.workers.get(directory.owner(ufrag)?),
            None => self.workers.first(),
        }
    }
}

/// One connection from its first byte to its last. An error ends it, and nobody else needs to know.
async fn converse(
    exchange: Exchange,
    stream: TcpStream,
    remote: SocketAddr,
    (outbox, mut outgoing, place): (Outbox, Outgoing, Place),
) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let (remote, local) = (canonical(remote), canonical(local));
    // Refusals cost latency only.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
    steady(&SockRef::from(&stream));
    let (mut reader, writer) = stream.into_split();
    let mut inbox = Inbox::default();
    let first = timeout(FIRST_FRAME, inbox.read(&mut reader)).await;
    let Ok(Some(mut frames)) = first else {
        return;
    };
    let worker = framing::next(&mut frames, &mut 0).and_then(|first| exchange.worker(first));
    let Some(worker) = worker else {
        return;
    };
    let number = place.number;
    if worker
        .send(Happening::Opened { remote, outbox })
        .await
        .is_err()
    {
        return;
    }
    let read = async {
        let mut next = Some(frames);
        while let Some(frames) = next.take() {
            let came = Happening::Frames {
                remote,
                local,
                frames,
                lost: 0,
            };
            if worker.send(came).await.is_err() {
                return;
            }
            next = timeout(SILENCE, inbox.read(&mut reader))
                .await
                .ok()
                .flatten();
        }
    };
    tokio::select! {
        () = read => {}
        () = write(writer, &mut outgoing) => {}
    }
    // The worker is gone: then there is nothing to forget.
    let _ = worker.send(Happening::Closed { remote, number }).await;
}

/// Has what is sent controlled by something that never stops on purpose: BBR lets no more than four packets be under way for 200 ms
/// every ten seconds, to see how short the way is (draft-ietf-ccwg-bbr, ProbeRTT), and pictures stand still.
#[cfg(target_os = "linux")]
fn steady(stream: &Socket) {
    // Whoever is not root may be allowed less.
    let is_set = STEADY
        .iter()
        .any(|name| stream.set_tcp_congestion(name).is_ok());
    if !is_set {
        tracing::debug!("media over TCP is sent as this system is set to");
    }
}

#[cfg(not(target_os = "linux"))]
fn steady(_: &Socket) {}

async fn write(mut writer: OwnedWriteHalf, outgoing: &mut Outgoing) {
    while let Some(framed) = outgoing.frames.recv().await {
        let written = timeout(SILENCE, writer.write_all(&framed)).await;
        outgoing.waiting.fetch_sub(framed.len(), Ordering::Relaxed);
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// Bytes that came and are no whole frame yet.
#[derive(Debug, Default)]
struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    /// The next whole frames. `None`: the connection is over, or the other side does not speak RFC 4571.
    async fn read(&mut self, reader: &mut OwnedReadHalf) -> Option<Vec<u8>> {
        loop {
            let end = framing::whole(&self.bytes).ok()?;
            if end > 0 {
                let rest = self.bytes.split_off(end);
                return Some(std::mem::replace(&mut self.bytes, rest));
            }
            self.bytes.reserve(READ);
            if reader.read_buf(&mut self.bytes).await.ok()? == 0 {
                return None;
            }
        }
    }
}

/// RTP, and no RTCP (RFC 7983, RFC 5761 section 4).
fn is_media(bytes: &[u8]) -> bool {
    matches!(bytes, [128..=191, kind, ..] if !(64..96).contains(&(kind & 0x7f)))
}

/// IPv4 in IPv6 form is IPv4 to everybody else.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// How many connections there are, in all and from one address.
#[derive(Debug, Default)]
struct Places {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    count: u64,
    open: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
    number: u64,
}

impl Place {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Places {
    fn take(places: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = taken.by_address.get(&address).copied().unwrap_or_default();
        if taken.open >= MAX_OPEN || of_address >= MAX_OF_ADDRESS {
            return None;
        }
        taken.by_address.insert(address, of_address + 1);
        taken.open += 1;
        taken.count += 1;
        Some(Place {
            places: Arc::clone(places),
            address,
            number: taken.count,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = self.places.taken.lock();
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        taken.open -= 1;
        if let Some(of_address) = taken.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 256;

/// Connections at a time, and of one address: a large office behind one.
const MAX_OPEN: usize = 2048;
const MAX_OF_ADDRESS: usize = 256;

/// Happenings that wait for one worker; a full queue holds the senders back.
pub(crate) const QUEUE: usize = 256;

/// Bytes that wait for one connection in this process, and in the kernel: a quarter of a second at 3 Mb/s together.
const MAX_WAITING: usize = 64 * 1024;
const SEND_BUFFER: usize = 32 * 1024;

/// The same inside the process: some large pictures that come at once.
const MAX_WAITING_INSIDE: usize = 1024 * 1024;

/// Ways to control congestion, the better first (RFC 9438, RFC 5681).
#[cfg(target_os = "linux")]
const STEADY: [&[u8]; 2] = [b"cubic", b"reno"];

/// Bytes taken at once.
const READ: usize = 16 * 1024;

/// From the connection to its first STUN request.
const FIRST_FRAME: Duration = Duration::from_secs(5);

/// Consent checks come every few seconds (RFC 7675); whoever is silent for this long is gone.
const SILENCE: Duration = Duration::from_secs(30);

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 5000))
    }

    #[test]
    fn a_slow_connection_loses_the_newest_and_counts_it() {
        let (queue, mut outgoing) = mpsc::unbounded_channel();
        let outbox = Outbox {
            number: 1,
            patience: Patience::Network,
            queue,
            waiting: Arc::default(),
        };
        let mut streams = Streams::default();
        let transmit = Transmit {
            destination: remote(),
            source: None,
            size: 5000,
            segment_size: Some(1000),
        };
        let mut traffic = Traffic::default();
        assert!(!streams.send(&transmit, &[7; 5000], &mut traffic), "UDP");
        streams.insert(remote(), outbox);
        for _ in 0..100 {
            assert!(streams.send(&transmit, &[7; 5000], &mut traffic));
        }
        let mut written = 0;
        while let Ok(framed) = outgoing.try_recv() {
            assert_eq!(framed.len() % 1002, 0, "whole frames only");
            written += framed.len();
        }
        assert!(written <= MAX_WAITING && written > MAX_WAITING - 2000);
        assert_eq!(traffic.stream_dropped, 500 - written as u64 / 1002);
        streams.remove(remote(), 2);
        assert_eq!(streams.len(), 1, "a later connection has the address");
        streams.remove(remote(), 1);
        assert!(!streams.has(remote()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn media_is_not_sent_by_bbr_whatever_this_system_prefers() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = SockRef::from(&stream);
        // Refused where there is none; then there is nothing to undo.
        let _ = stream.set_tcp_congestion(b"bbr");
        steady(&stream);
        let name = stream.tcp_congestion().unwrap();
        let name = name.split(|&byte| byte == 0).next().unwrap();
        assert!(STEADY.contains(&name), "{}", name.escape_ascii());
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let places = Arc::default();
        let address: IpAddr = [192, 0, 2, 1].into();
        let taken: Vec<_> = (0..MAX_OF_ADDRESS)
            .map(|_| Places::take(&places, address).unwrap())
            .collect();
        assert!(Places::take(&places, address).is_none());
        assert!(Places::take(&places, [192, 0, 2, 2].into()).is_some());
        drop(taken);
        assert!(Places::take(&places, address).is_some());
        assert!(places.taken.lock().unwrap().by_address.is_empty());
    }
}
