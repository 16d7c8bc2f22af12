//! UDP in batches: many datagrams per receive call (recvmmsg and GRO), a whole frame per send call (GSO).
//!
//! Owns: sockets, their buffers, segmentation and its fallback. Does not own: what is in a datagram.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use baton_engine::Transmit;
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;

use super::snapshot::Traffic;

/// One port of one worker.
#[derive(Debug)]
pub(crate) struct Place {
    socket: std::net::UdpSocket,
    /// Takes in what may wait, where the system can tell that apart.
    patient: Option<std::net::UdpSocket>,
}

/// The sockets of all workers, one place per address family each.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) address: SocketAddr,
    /// IPv6 was asked for on every address, and IPv4 is served beside it.
    pub(crate) is_dual: bool,
    pub(crate) per_worker: Vec<Vec<Place>>,
}

/// Opens `media` once per worker. `[::]` means every address of both families, on one port.
pub(crate) fn bind_all(media: SocketAddr, workers: usize) -> io::Result<Bound> {
    let is_everywhere = media.is_ipv6() && media.ip().is_unspecified();
    let mut attempts = if media.port() == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        let mut per_worker: Vec<Vec<_>> = (0..workers).map(|_| Vec::with_capacity(2)).collect();
        let address = bind_family(media, &mut per_worker)?;
        if !is_everywhere {
            return Ok(Bound {
                address,
                is_dual: false,
                per_worker,
            });
        }
        let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
        match bind_family(v4, &mut per_worker) {
            Ok(_) => {
                return Ok(Bound {
                    address,
                    is_dual: true,
                    per_worker,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {}
            Err(error) => return Err(error),
        }
    }
}

/// The first socket is bound alone, so that another process on the port is noticed; only then is the port shared.
fn bind_family(address: SocketAddr, per_worker: &mut [Vec<Place>]) -> io::Result<SocketAddr> {
    let is_shared = per_worker.len() > 1;
    let mut chosen = address;
    for (index, places) in per_worker.iter_mut().enumerate() {
        let socket = open(address)?;
        if index > 0 {
            share_port(&socket)?;
        }
        socket.bind(&chosen.into())?;
        if index == 0 {
            chosen = socket.local_addr()?.as_socket().unwrap_or(address);
            if is_shared {
                share_port(&socket)?;
            }
        }
        widen(&socket, index == 0 && !address.ip().is_loopback());
        // Among several workers the kernel chooses by the sender, and cannot do both.
        let patient = match is_shared {
            true => None,
            false => bind_patient(&socket, chosen),
        };
        places.push(Place {
            socket: socket.into(),
            patient: patient.map(Into::into),
        });
    }
    Ok(chosen)
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A second socket on the port of `first`, for what may wait. Without it everything is urgent.
#[cfg(target_os = "linux")]
fn bind_patient(first: &Socket, address: SocketAddr) -> Option<Socket> {
    let bind = || {
        let patient = open(address)?;
        share_port(first)?;
        share_port(&patient)?;
        patient.bind(&address.into())?;
        // Only a port that is shared can be sorted. What comes before that is on either, and read from both.
        super::queues::sort(first)?;
        widen(&patient, false);
        Ok(patient)
    };
    let bound: io::Result<Socket> = bind();
    if let Err(error) = &bound {
        tracing::debug!(%error, "reports have no queue of their own");
    }
    bound.ok()
}

#[cfg(not(target_os = "linux"))]
fn bind_patient(_first: &Socket, _address: SocketAddr) -> Option<Socket> {
    None
}

#[cfg(unix)]
fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(unix))]
fn share_port(_socket: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Asks for large kernel buffers; what the system refuses shows as loss under load, so say so where it matters.
fn widen(socket: &Socket, is_told: bool) {
    // Refusals are normal; the sizes that count are read back below.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    // Linux reports twice what may be used (socket(7)).
    let share = if cfg!(target_os = "linux") { 2 } else { 1 };
    let receive = socket.recv_buffer_size().unwrap_or(0) / share;
    let send = socket.send_buffer_size().unwrap_or(0) / share;
    if is_told && (receive < RECEIVE_BUFFER / 2 || send < SEND_BUFFER / 2) {
        tracing::warn!(
            receive_bytes = receive,
            send_bytes = send,
            "the system grants small socket buffers, bursts may be lost; \
             raise net.core.rmem_max to {RECEIVE_BUFFER} and net.core.wmem_max to {SEND_BUFFER}"
        );
    }
}

/// Which of the datagrams of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Pictures, sound and wishes; everything, where the system does not tell them apart.
    Urgent,
    /// Reports, connectivity checks and messages.
    Patient,
}

/// One UDP port of one worker.
#[derive(Debug)]
pub(crate) struct MediaSocket {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    patient: Option<(tokio::net::UdpSocket, UdpSocketState)>,
    local: SocketAddr,
    could_segment: bool,
}

impl MediaSocket {
    /// Must be called inside the worker's runtime.
    pub(crate) fn new(place: Place) -> io::Result<Self> {
        let local = place.socket.local_addr()?;
        let prepare = |socket: std::net::UdpSocket| -> io::Result<_> {
            let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
            Ok((tokio::net::UdpSocket::from_std(socket)?, state))
        };
        let (io, state) = prepare(place.socket)?;
        let could_segment = state.max_gso_segments() > 1;
        Ok(Self {
            io,
            state,
            patient: place.patient.map(prepare).transpose()?,
            local,
            could_segment,
        })
    }

    /// Has what may wait a queue of its own?
    pub(crate) fn has_patient(&self) -> bool {
        self.patient.is_some()
    }

    /// Can this socket send to `destination`?
    pub(crate) fn reaches(&self, destination: SocketAddr) -> bool {
        self.local.is_ipv4() == destination.is_ipv4()
    }

    /// The local address of a datagram whose destination the kernel reported as `ip`.
    pub(crate) fn local(&self, ip: Option<IpAddr>) -> SocketAddr {
        SocketAddr::new(ip.unwrap_or(self.local.ip()), self.local.port())
    }

    /// Is there something to receive?
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let patient = self.patient.as_ref();
        // Both are asked, so that each one wakes.
        let patient = patient.is_some_and(|(io, _)| io.poll_recv_ready(cx).is_ready());
        match self.io.poll_recv_ready(cx).is_ready() || patient {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Waits until the send buffer has room.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    /// One receive call; see [`is_last`]. `Ok(0)` and `WouldBlock`: nothing there.
    ///
    /// Asks the system whatever the runtime believes: a worker that rests does not hear from it.
    pub(crate) fn receive(&self, queue: Queue, batch: &mut Batch) -> io::Result<usize> {
        let (io, state) = match (queue, &self.patient) {
            (Queue::Urgent, _) => (&self.io, &self.state),
            (Queue::Patient, Some((io, state))) => (io, state),
            (Queue::Patient, None) => return Ok(0),
        };
        let mut slots = batch.bytes.chunks_exact_mut(SLOT);
        let mut buffers: [IoSliceMut<'_>; BATCH] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().expect("a slot for each buffer")));
        let received = state.recv(UdpSockRef::from(io), &mut buffers, &mut batch.meta);
        let is_last = match &received {
            Ok(count) => is_last(*count),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if is_last {
            // The runtime shall know that the queue is empty, or it would send the worker here again at once. What has come since
            // it is told by the system.
            let _ = io.try_io(Interest::READABLE, || -> io::Result<()> {
                Err(io::ErrorKind::WouldBlock.into())
            });
        }
        received
    }

    /// Sends `bytes` from `*sent` on, in as few calls as the system allows. `*sent` says how far it came: after
    /// `WouldBlock` the same call continues there.
    pub(crate) fn send(
        &self,
        transmit: &Transmit,
        bytes: &[u8],
        sent: &mut usize,
        traffic: &mut Traffic,
    ) -> io::Result<()> {
        let most = || self.state.max_gso_segments();
        // A socket that has one address sends from there; saying so costs the kernel an allocation and a search.
        let source = transmit.source.filter(|_| self.local.ip().is_unspecified());
        let transmit = &Transmit {
            source,
            ..*transmit
        };
        in_calls(transmit, bytes, sent, most, |call| {
            let send = || self.state.try_send(UdpSockRef::from(&self.io), call);
            self.io.try_io(Interest::WRITABLE, send)?;
            traffic.send_calls += 1;
            Ok(())
        })
    }

    /// Tries segmentation again after an error switched it off: the route may be another one by now.
    pub(crate) fn revive_segmentation(&mut self) {
        if self.could_segment
            && self.state.max_gso_segments() == 1
            && let Ok(state) = UdpSocketState::new(UdpSockRef::from(&self.io))
        {
            self.state = state;
        }
    }
}

/// Waits for something urgent, so long at most. The thread waits, not a task: the runtime would wake for everything.
#[cfg(target_os = "linux")]
pub(crate) fn await_urgent(sockets: &[MediaSocket], span: Duration) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let timeout = Timespec::try_from(span).unwrap_or_default();
    let urgent = |socket| PollFd::new(socket, PollFlags::IN);
    // An error ends the wait as well, and the next turn looks.
    let _ = match sockets {
        [one] => poll(&mut [urgent(&one.io)], Some(&timeout)),
        [one, two] => poll(&mut [urgent(&one.io), urgent(&two.io)], Some(&timeout)),
        _ => return std::thread::sleep(span),
    };
}

/// The same where nothing is told apart.
#[cfg(not(target_os = "linux"))]
pub(crate) fn await_urgent(_sockets: &[MediaSocket], span: Duration) {
    std::thread::sleep(span);
}

/// Cuts `bytes` from `*sent` on into as few calls as `most_segments` at a time allow.
fn in_calls(
    transmit: &Transmit,
    bytes: &[u8],
    sent: &mut usize,
    most_segments: impl Fn() -> usize,
    mut send: impl FnMut(&quinn_udp::Transmit<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let segment = transmit.segment_size.filter(|&size| size > 0);
    while let Some(rest) = bytes.get(*sent..).filter(|rest| !rest.is_empty()) {
        let segment = segment.unwrap_or(rest.len());
        let most = most_segments().min(LARGEST_SEND / segment).max(1);
        let size = rest.len().min(segment * most);
        let call = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: None,
            contents: rest.get(..size).unwrap_or(rest),
            segment_size: (size > segment).then_some(segment),
            src_ip: transmit.source,
        };
        match send(&call) {
            Ok(()) => *sent += size,
            // The interface does not segment (EIO, EINVAL): the state knows now, and the rest goes out singly.
            Err(_) if most > 1 && most_segments() == 1 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Space for what one receive call brings. Only the pages that are used become resident.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Box<[u8]>,
    meta: [RecvMeta; BATCH],
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; BATCH * SLOT].into_boxed_slice(),
            meta: [RecvMeta::default(); BATCH],
        }
    }

    /// The first `count` slots: where each came from, and its datagrams, `stride` bytes each.
    pub(crate) fn filled(&mut self, count: usize) -> impl Iterator<Item = (RecvMeta, &mut [u8])> {
        let filled = self.meta.iter().zip(self.bytes.chunks_exact_mut(SLOT));
        filled
            .take(count)
            .filter_map(|(meta, slot)| Some((*meta, slot.get_mut(..meta.len)?)))
    }
}

/// Receive calls take up to this many senders at a time.
const BATCH: usize = 16;

/// Did a receive call that brought so many empty the queue? Linux gives as many as there are (recvmmsg): another call would be for nothing.
pub(crate) fn is_last(count: usize) -> bool {
    cfg!(target_os = "linux") && count < BATCH
}

/// A coalesced receive has at most 64 kB. Slots that far apart would all want the same few places of the cache.
const SLOT: usize = 65 * 1024;
const _: () = assert!(!SLOT.is_multiple_of(64 * 1024));

/// Most bytes of one send call: the largest UDP payload over IPv4 (RFC 768, RFC 791).
const LARGEST_SEND: usize = 65_507;

const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;
const SEND_BUFFER: usize = 4 * 1024 * 1024;

/// Tries to find one free port that both families can have.
pub(super) const PORT_ATTEMPTS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(port: u16) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
    }

    #[test]
    fn all_workers_share_one_port_that_no_other_process_can_take() {
        let bound = bind_all(loopback(0), 3).unwrap();
        assert_eq!(bound.per_worker.len(), 3);
        for sockets in &bound.per_worker {
            assert_eq!(sockets[0].socket.local_addr().unwrap(), bound.address);
        }
        for workers in [1, 3] {
            let error = bind_all(bound.address, workers).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{workers} workers");
        }
    }

    #[test]
    fn every_address_means_both_families_on_one_port() {
        let Ok(bound) = bind_all("[::]:0".parse().unwrap(), 2) else {
            return; // No IPv6 on this machine.
        };
        assert!(bound.is_dual);
        for sockets in &bound.per_worker {
            let ports: Vec<_> = sockets
                .iter()
                .map(|s| s.socket.local_addr().unwrap().port())
                .collect();
            assert_eq!(ports, [bound.address.port(); 2]);
        }
    }

    async fn exchange(segmented: bool) -> (usize, Traffic) {
        let mut bound = bind_all(loopback(0), 1).unwrap();
        let socket = MediaSocket::new(bound.per_worker.remove(0).remove(0)).unwrap();
        socket.writable().await.unwrap();
        let receiver = tokio::net::UdpSocket::bind(loopback(0)).await.unwrap();
        let transmit = Transmit {
            destination: receiver.local_addr().unwrap(),
            source: None,
            size: 2900,
            segment_size: segmented.then_some(1000),
        };
        let (mut sent, mut traffic) = (0, Traffic::default());
        socket
            .send(&transmit, &[7; 2900], &mut sent, &mut traffic)
            .unwrap();
        assert_eq!(sent, 2900);
        let mut buffer = [0; 4000];
        let mut sizes = Vec::new();
        while sizes.iter().sum::<usize>() < 2900 {
            let arrived = receiver.recv(&mut buffer);
            sizes.push(
                tokio::time::timeout(Duration::from_secs(5), arrived)
                    .await
                    .unwrap()
                    .unwrap(),
            );
        }
        let expected: &[usize] = if segmented {
            &[1000, 1000, 900]
        } else {
            &[2900]
        };
        assert_eq!(sizes, expected);
        (socket.state.max_gso_segments(), traffic)
    }

    #[tokio::test]
    async fn a_segmented_transmit_arrives_as_its_datagrams_in_as_few_calls_as_possible() {
        let (segments, traffic) = exchange(true).await;
        assert_eq!(traffic.send_calls, if segments > 1 { 1 } else { 3 });
        assert_eq!(exchange(false).await.1.send_calls, 1);
    }

    #[test]
    fn an_interface_that_does_not_segment_gets_the_rest_singly() {
        let transmit = Transmit {
            destination: loopback(9),
            source: None,
            size: 3900,
            segment_size: Some(1000),
        };
        let most = std::cell::Cell::new(2);
        let mut calls = Vec::new();
        let mut sent = 0;
        let done = in_calls(
            &transmit,
            &[7; 3900],
            &mut sent,
            || most.get(),
            |call| {
                // As the system does (EIO) and quinn-udp notes, here at the second call.
                if calls.len() == 1 && call.segment_size.is_some() {
                    most.set(1);
                    return Err(io::Error::from_raw_os_error(5));
                }
                calls.push((call.contents.len(), call.segment_size));
                Ok(())
            },
        );
        assert!(done.is_ok() && sent == 3900);
        assert_eq!(calls, [(2000, Some(1000)), (1000, None), (900, None)]);
    }

    /// What a queue has, each datagram once.
    fn drained(socket: &MediaSocket, queue: Queue, batch: &mut Batch) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        while let Ok(count @ 1..) = socket.receive(queue, batch) {
            for (meta, bytes) in batch.filled(count) {
                datagrams.extend(bytes.chunks(meta.stride).map(<[u8]>::to_vec));
            }
        }
        datagrams
    }

    /// A control packet as SRTCP: header, length in words, the rest and the trailer.
    fn control(first: u8, kind: u8, words: u8, size: usize, trailer: usize) -> Vec<u8> {
        let mut bytes = vec![7; size + trailer];
        bytes[..4].copy_from_slice(&[first, kind, 0, words]);
        bytes
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn pictures_and_wishes_do_not_wait_with_reports() {
        let mut bound = bind_all(loopback(0), 1).unwrap();
        let socket = MediaSocket::new(bound.per_worker.remove(0).remove(0)).unwrap();
        assert!(socket.has_patient());
        let urgent = [
            control(0x80, 96, 0, 200, 0),
            control(0x80, 0x80 | 96, 0, 200, 0),
            control(0x81, 205, 3, 16, 20),      // NACK
            control(0x81, 206, 2, 12, 20),      // PLI
            control(0x80, 200, 6, 28, 20),      // sender report
            control(0x81, 201, 7, 32 + 12, 20), // receiver report, and a PLI
            control(0x81, 201, 7, 32 + 16, 14), // receiver report, and a NACK
            control(0x8f, 205, 5, 24 + 16, 20), // arrivals, and a NACK
            control(22, 254, 0, 200, 0),        // DTLS handshake
            vec![0x8f, 205],
            vec![0x81],
        ];
        let patient = [
            control(0x8f, 205, 5, 24, 20), // arrivals
            control(0xaf, 205, 6, 28, 14), // arrivals, padded
            control(0x81, 201, 7, 32, 20), // receiver report
            control(0x81, 201, 7, 32, 14),
            control(0, 1, 0, 100, 0),   // STUN
            control(23, 254, 0, 60, 0), // data channels
        ];
        let sender = std::net::UdpSocket::bind(loopback(0)).unwrap();
        for bytes in urgent.iter().chain(&patient) {
            sender.send_to(bytes, bound.address).unwrap();
        }
        let mut batch = Batch::new();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while first.len() + second.len() < urgent.len() + patient.len()
            && std::time::Instant::now() < deadline
        {
            first.extend(drained(&socket, Queue::Urgent, &mut batch));
            second.extend(drained(&socket, Queue::Patient, &mut batch));
            tokio::task::yield_now().await;
        }
        assert_eq!(first, urgent);
        assert_eq!(second, patient);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_worker_that_rests_is_woken_by_pictures_and_not_by_reports() {
        let mut bound = bind_all(loopback(0), 1).unwrap();
        let sockets = [MediaSocket::new(bound.per_worker.remove(0).remove(0)).unwrap()];
        let sender = std::net::UdpSocket::bind(loopback(0)).unwrap();
        let (short, long) = (Duration::from_millis(20), Duration::from_secs(20));
        let waits = |span| {
            let start = std::time::Instant::now();
            await_urgent(&sockets, span);
            start.elapsed()
        };
        let report = control(0x8f, 205, 5, 24, 20);
        sender.send_to(&report, bound.address).unwrap();
        assert!(waits(short) >= short);
        let picture = control(0x80, 96, 0, 200, 0);
        sender.send_to(&picture, bound.address).unwrap();
        assert!(waits(long) < long);
    }

    #[tokio::test]
    async fn a_coalesced_receive_is_cut_into_its_datagrams() {
        let mut bound = bind_all(loopback(0), 2).unwrap();
        let mut both = bound
            .per_worker
            .drain(..)
            .map(|mut s| MediaSocket::new(s.remove(0)).unwrap());
        let (a, b) = (both.next().unwrap(), both.next().unwrap());
        let sender = tokio::net::UdpSocket::bind(loopback(0)).await.unwrap();
        for n in 0..40_u8 {
            sender.send_to(&[n; 100], bound.address).await.unwrap();
        }
        let mut batch = Batch::new();
        let mut seen = Vec::new();
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while seen.len() < 40 && std::time::Instant::now() < deadline {
            for socket in [&a, &b] {
                let count = socket.receive(Queue::Urgent, &mut batch).unwrap_or(0);
                for (meta, bytes) in batch.filled(count) {
                    assert_eq!(meta.addr, sender.local_addr().unwrap());
                    assert_eq!(socket.local(meta.dst_ip), bound.address);
                    seen.extend(bytes.chunks(meta.stride).map(|d| d[0]));
                }
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(seen, (0..40).collect::<Vec<_>>());
    }
}
