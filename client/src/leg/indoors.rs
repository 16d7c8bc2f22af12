//! The sockets of a leg whose host is in the same process: no datagram of it ever goes by a network.
//!
//! A socket only lends its address, by which the host knows the leg; what it would send goes through the host's queues, and what
//! is for anybody else is thrown away. Everything else of the runtime is `webrtc`'s own. Does not own the host, nor its queues
//! (`baton_server::Inside`).

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use baton_server::{Inside, Wire};
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime,
    Transmit, default_runtime,
};

type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the socket is bound to: whatever the network is, this is there.
pub(super) fn address(inside: &Inside) -> &'static str {
    match inside.has_v4() {
        true => "127.0.0.1:0",
        false => "[::1]:0",
    }
}

/// A runtime whose sockets lead to a host in this process and nowhere else.
#[derive(Debug)]
pub(super) struct Indoors {
    inside: Inside,
    usual: Arc<dyn Runtime>,
}

impl Indoors {
    /// An error where `webrtc` has no runtime of its own to build on.
    pub(super) fn runtime(inside: Inside) -> io::Result<Arc<dyn Runtime>> {
        let usual = default_runtime().ok_or_else(|| io::Error::other("no async runtime found"))?;
        Ok(Arc::new(Self { inside, usual }))
    }
}

impl Runtime for Indoors {
    fn spawn(&self, future: Later<'static, ()>) -> Box<dyn JoinHandle> {
        self.usual.spawn(future)
    }

    fn spawn_reactor(&self, size: usize, future: Later<'static, ()>) -> Box<dyn JoinHandle> {
        self.usual.spawn_reactor(size, future)
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(Door {
            local: socket.local_addr()?,
            inside: self.inside.clone(),
            line: Mutex::default(),
            _lends: socket,
        }))
    }

    fn wrap_tcp_listener(
        &self,
        listener: std::net::TcpListener,
    ) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.usual.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        address: SocketAddr,
    ) -> Later<'a, io::Result<Arc<dyn AsyncTcpStream>>> {
        self.usual.connect_tcp(address)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Later<'a, io::Result<Vec<SocketAddr>>> {
        self.usual.resolve_host(host)
    }

    fn now(&self) -> Instant {
        self.usual.now()
    }

    fn sleep(&self, duration: Duration) -> Later<'static, ()> {
        self.usual.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.usual.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.usual.block_on(future);
    }

    fn yield_now(&self) -> Later<'static, ()> {
        self.usual.yield_now()
    }

    fn name(&self) -> &'static str {
        self.usual.name()
    }
}

/// A socket that is none.
#[derive(Debug)]
struct Door {
    local: SocketAddr,
    inside: Inside,
    line: Mutex<Line>,
    /// Keeps the address from others.
    _lends: UdpSocket,
}

#[derive(Debug, Default)]
struct Line {
    wire: Option<Wire>,
    /// Who waits for what comes: a new wire is news.
    reader: Option<Waker>,
}

impl Door {
    /// Whatever panicked elsewhere, a wire is whole after each datagram.
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host knows a guest by the guest's address alone, so that there is a way to one of its own addresses, the first that is tried.
    fn send_inside(&self, to: SocketAddr, datagrams: &[u8], size: usize) {
        let mut line = self.lock();
        if let Some(wire) = &mut line.wire
            && (wire.host() != to || wire.send(datagrams, size))
        {
            return;
        }
        let first = datagrams.get(..size).unwrap_or(datagrams);
        line.wire = self.inside.open(self.local, to, first);
        if let Some(wire) = &mut line.wire {
            wire.send(datagrams, size);
        }
        if let Some(reader) = line.reader.take() {
            reader.wake();
        }
    }
}

impl AsyncUdpSocket for Door {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn poll_send(&self, _: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let (to, len) = (transmit.destination, transmit.contents.len());
        if self.inside.leads(to) {
            let size = transmit.segment_size.unwrap_or(len);
            self.send_inside(to, transmit.contents, size);
        }
        Poll::Ready(Ok(len))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut line = self.lock();
        let mut filled = 0;
        for (buffer, meta) in bufs.iter_mut().zip(meta.iter_mut()) {
            let Some(wire) = &mut line.wire else { break };
            match wire.poll_recv(cx, buffer) {
                Poll::Ready(Some(len)) => {
                    (meta.addr, meta.len, meta.stride) = (wire.host(), len, len.max(1));
                    (meta.ecn, meta.dst_ip) = (None, Some(self.local.ip()));
                    filled += 1;
                }
                Poll::Ready(None) => line.wire = None,
                Poll::Pending => break,
            }
        }
        if filled > 0 {
            return Poll::Ready(Ok(filled));
        }
        line.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn max_gso_segments(&self) -> usize {
        SEGMENTS
    }
}

/// Datagrams that are sent together: a wake-up of the host's thread costs more than all of them.
const SEGMENTS: usize = 64;

#[cfg(test)]
mod tests;
