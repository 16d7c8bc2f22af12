//! The lines between computers, and the sockets to signaling on them. A socket keeps its order and loses nothing unless it breaks;
//! what waits behind a line that is cut comes when it heals, as TCP does. Media lines only are open or not.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use baton_protocol::{HostCommand, HostMessage, PeerMessage, ServiceMessage};

use crate::agenda::Ms;

/// A computer that is not signaling. Host 0 is the operator's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Guest(usize),
    Host(usize),
}

/// What can be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line {
    /// Between a computer and signaling.
    Signal(Node),
    /// Between a guest and a host.
    Media { guest: usize, host: usize },
}

/// Towards signaling or the host, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Up,
    Down,
}

pub(crate) const WAYS: [Way; 2] = [Way::Up, Way::Down];

/// One message on a socket.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    /// A host's link begins, with its token.
    Link(Option<String>),
    FromHost(HostMessage),
    FromPeer(PeerMessage),
    ToHost(HostCommand),
    ToPeer(Rc<ServiceMessage>),
    /// The other side has closed.
    End,
}

/// A socket between a computer and signaling. Each side learns of its end in its own time.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) node: Node,
    pub(crate) is_client_open: bool,
    pub(crate) is_service_open: bool,
    is_broken: bool,
    ways: [Stream; 2],
}

#[derive(Debug, Default)]
struct Stream {
    frames: VecDeque<(Ms, Frame)>,
    /// Arrivals that found the line cut.
    owed: usize,
    last: Ms,
}

#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) sockets: Vec<Socket>,
    cuts: BTreeMap<(Line, Way), Ms>,
}

impl Network {
    pub(crate) fn open(&mut self, node: Node) -> usize {
        self.sockets.push(Socket {
            node,
            is_client_open: true,
            is_service_open: true,
            is_broken: false,
            ways: Default::default(),
        });
        self.sockets.len() - 1
    }

    /// Puts a frame on its way and says when it arrives; `None`: it is lost.
    pub(crate) fn send(
        &mut self,
        socket: usize,
        way: Way,
        frame: Frame,
        (now, delay): (Ms, Ms),
    ) -> Option<Ms> {
        let socket = &mut self.sockets[socket];
        let is_open = match way {
            Way::Up => socket.is_client_open,
            Way::Down => socket.is_service_open,
        };
        if socket.is_broken || !is_open {
            return None;
        }
        let stream = &mut socket.ways[way as usize];
        stream.last = stream.last.max(now + delay);
        stream.frames.push_back((now, frame));
        Some(stream.last)
    }

    /// What arrives, with the moment when it was said. Behind a cut it waits.
    pub(crate) fn arrive(&mut self, index: usize, way: Way) -> Option<(Ms, Frame)> {
        let line = Line::Signal(self.sockets[index].node);
        let is_cut = self.cuts.contains_key(&(line, way));
        let stream = &mut self.sockets[index].ways[way as usize];
        if is_cut {
            stream.owed += 1;
            return None;
        }
        stream.frames.pop_front()
    }

    /// Everything under way is lost, and nothing comes through any more.
    pub(crate) fn break_off(&mut self, socket: usize) {
        let socket = &mut self.sockets[socket];
        socket.is_broken = true;
        socket.ways = Default::default();
    }

    pub(crate) fn cut(&mut self, line: Line, way: Way, now: Ms) -> bool {
        let is_new = !self.cuts.contains_key(&(line, way));
        self.cuts.entry((line, way)).or_insert(now);
        is_new
    }

    /// Since when a line is cut.
    pub(crate) fn cut_since(&self, line: Line, way: Way) -> Option<Ms> {
        self.cuts.get(&(line, way)).copied()
    }

    /// Says how many frames of which sockets come now.
    pub(crate) fn heal(&mut self, line: Line, way: Way) -> Vec<(usize, usize)> {
        self.cuts.remove(&(line, way));
        let Line::Signal(node) = line else {
            return Vec::new();
        };
        let sockets = self.sockets.iter_mut().enumerate();
        let theirs = sockets.filter(|(_, socket)| socket.node == node);
        theirs
            .map(|(index, socket)| (index, std::mem::take(&mut socket.ways[way as usize].owed)))
            .collect()
    }

    pub(crate) fn all_cuts(&self) -> Vec<(Line, Way)> {
        self.cuts.keys().copied().collect()
    }

    pub(crate) fn passes(&self, line: Line, way: Way) -> bool {
        !self.cuts.contains_key(&(line, way))
    }

    pub(crate) fn is_whole(&self, line: Line) -> bool {
        WAYS.iter().all(|way| self.passes(line, *way))
    }
}
