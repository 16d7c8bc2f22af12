//! Asks a server from which address this host's datagrams come, and goes on asking, so that the NAT in between keeps the way open.
//! Keeps the address that a router has lent as well, which needs no asking.
//!
//! Pure. What is told is believed only of the server that was asked, and only under the number of the last question.

use std::net::SocketAddr;
use std::time::Duration;

use crate::io::Datagram;
use crate::reflect::{TransactionId, answer, question};
use crate::time::Tick;

/// RFC 8489 section 6.2.1.
const REPEAT: Duration = Duration::from_millis(500);

/// Unanswered questions after which the pause is the long one.
const TRIES: u8 = 4;

/// NATs forget a way after 30 s, some of them.
const KEEP: Duration = Duration::from_secs(15);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Asker {
    server: Option<SocketAddr>,
    transaction: TransactionId,
    due: Tick,
    tries: u8,
    told: Option<SocketAddr>,
    /// A port of a router that leads here.
    pub(crate) mapped: Option<SocketAddr>,
}

impl Asker {
    /// Whom to ask from now on.
    pub(crate) fn set_server(&mut self, server: Option<SocketAddr>, now: Tick) {
        if server != self.server {
            *self = Self {
                server,
                due: now,
                mapped: self.mapped,
                ..Self::default()
            };
        }
    }

    /// When a question is due.
    pub(crate) fn deadline(&self) -> Tick {
        if self.server.is_some() {
            self.due
        } else {
            Tick::NEVER
        }
    }

    /// The question that is due, and to whom. `fresh` numbers it.
    pub(crate) fn poll(
        &mut self,
        fresh: impl FnOnce() -> TransactionId,
        now: Tick,
    ) -> Option<(SocketAddr, [u8; 20])> {
        let server = self.server.filter(|_| self.due <= now)?;
        if self.tries == 0 {
            self.transaction = fresh();
        }
        self.tries += 1;
        let is_tried = self.tries >= TRIES;
        self.due = now + if is_tried { KEEP } else { REPEAT };
        if is_tried {
            self.tries = 0;
        }
        Some((server, question(self.transaction)))
    }

    /// Takes a datagram that belongs to no leg. True if it was the answer.
    pub(crate) fn handle(&mut self, datagram: &Datagram<'_>, now: Tick) -> bool {
        if Some(datagram.remote) != self.server {
            return false;
        }
        let Some((transaction, address)) = answer(datagram.bytes) else {
            return false;
        };
        if transaction != self.transaction {
            return false;
        }
        self.told = Some(address);
        self.tries = 0;
        self.due = now + KEEP;
        true
    }

    /// The address under which the server sees this host.
    pub(crate) fn told(&self) -> Option<SocketAddr> {
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_until_it_is_told_and_then_now_and_then() {
        let server: SocketAddr = "203.0.113.1:7881".parse().expect("address");
        let seen: SocketAddr = "198.51.100.7:40000".parse().expect("address");
        let mut asker = Asker::default();
        let at = |ms| Tick(0) + Duration::from_millis(ms);
        assert_eq!(asker.deadline(), Tick::NEVER);
        asker.mapped = Some(seen);
        asker.set_server(Some(server), at(0));
        assert_eq!((asker.mapped, asker.told()), (Some(seen), None));
        let (to, mut asked) = asker.poll(|| [1; 12], at(0)).expect("a question");
        assert_eq!((to, asker.poll(|| [2; 12], at(499))), (server, None));
        let again = asker.poll(|| [2; 12], at(500));
        assert_eq!(again, Some((server, asked)), "the same, again");
        let mut reply = crate::reflect::reply(&asked, seen)
            .expect("a reply")
            .as_bytes()
            .to_vec();
        let mut datagram = |remote, bytes: &mut [u8]| {
            let datagram = Datagram {
                remote,
                local: server,
                bytes,
            };
            asker.handle(&datagram, at(520))
        };
        assert!(!datagram(seen, &mut reply), "from elsewhere");
        assert!(!datagram(server, &mut asked), "no answer");
        assert!(datagram(server, &mut reply));
        assert_eq!(asker.told(), Some(seen));
        assert_eq!(asker.deadline(), at(15_520));
        assert!(asker.poll(|| [3; 12], at(15_520)).is_some());
    }
}
