//! What waits to be written to one socket: bounded in messages and bytes, never waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::{Notify, mpsc};

use crate::limits::Limits;

/// Why a socket is closed (RFC 6455 section 7.4.1 and the IANA registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseCode {
    /// All is said.
    Normal,
    /// The peer broke a rule.
    Policy,
    /// The message was too large.
    TooBig,
    /// The service comes back soon.
    Restart,
    /// The reader is too slow.
    TryAgain,
}

impl CloseCode {
    /// The number on the wire.
    pub(super) fn number(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Policy => 1008,
            Self::TooBig => 1009,
            Self::Restart => 1012,
            Self::TryAgain => 1013,
        }
    }
}

/// One thing to write.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A message.
    Text(Utf8Bytes),
    /// The last thing.
    Close(CloseCode),
}

/// The end that is written to; clones share the bounds.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    queue: mpsc::Sender<Outgoing>,
    shared: Arc<Shared>,
}

/// The end that the socket drains.
#[derive(Debug)]
pub(super) struct Drain {
    queue: mpsc::Receiver<Outgoing>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bytes: AtomicUsize,
    most_bytes: usize,
    is_unauthorized: AtomicBool,
    cut: Notify,
}

/// The reader is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Both ends of a new outbox.
pub(super) fn bounded(limits: &Limits) -> (Outbox, Drain) {
    // One place more than messages, so that the close always fits.
    let (sender, receiver) = mpsc::channel(limits.queue_messages + 1);
    let shared = Arc::new(Shared {
        bytes: AtomicUsize::new(0),
        most_bytes: limits.queue_bytes,
        is_unauthorized: AtomicBool::new(false),
        cut: Notify::new(),
    });
    let outbox = Outbox {
        queue: sender,
        shared: Arc::clone(&shared),
    };
    let drain = Drain {
        queue: receiver,
        shared,
    };
    (outbox, drain)
}

impl Outbox {
    /// Queues a message.
    pub(super) fn push(&self, text: Utf8Bytes) -> Result<(), Full> {
        let size = text.len();
        let waiting = self.shared.bytes.fetch_add(size, Ordering::Relaxed);
        // A single message may be larger than the rest of the budget, as long as nothing waits before it.
        let is_over = waiting > 0 && waiting + size > self.shared.most_bytes;
        if is_over || self.queue.capacity() <= 1 {
            return Err(Full);
        }
        self.queue.try_send(Outgoing::Text(text)).map_err(|_| Full)
    }

    /// Notes that the token which was shown here is wrong.
    pub(super) fn mark_unauthorized(&self) {
        self.shared.is_unauthorized.store(true, Ordering::Relaxed);
    }

    /// Was a wrong token shown here?
    pub(super) fn is_unauthorized(&self) -> bool {
        self.shared.is_unauthorized.load(Ordering::Relaxed)
    }

    /// Closes the socket after all that was queued.
    pub(super) fn close(&self, code: CloseCode) {
        if self.queue.try_send(Outgoing::Close(code)).is_err() {
            self.cut_off();
        }
    }

    /// Closes the socket now, whatever is queued.
    pub(super) fn cut_off(&self) {
        self.shared.cut.notify_one();
    }
}

impl Drain {
    /// The next thing to write. `None`: nobody writes any more.
    pub(super) async fn next(&mut self) -> Option<Outgoing> {
        let next = self.queue.recv().await?;
        if let Outgoing::Text(text) = &next {
            self.shared.bytes.fetch_sub(text.len(), Ordering::Relaxed);
        }
        Some(next)
    }

    /// Waits until the socket is cut off; independent of [`Self::next`].
    pub(super) fn cut(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::clone(&self.shared);
        async move { shared.cut.notified().await }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_reader_is_cut_off_at_256_messages_or_one_megabyte() {
        let (outbox, _drain) = bounded(&Limits::default());
        let pushed = (0..1000)
            .take_while(|_| outbox.push("x".into()).is_ok())
            .count();
        assert_eq!(pushed, 256);
        let (outbox, _drain) = bounded(&Limits::default());
        let large = Utf8Bytes::from("x".repeat(100 * 1024));
        let pushed = (0..1000)
            .take_while(|_| outbox.push(large.clone()).is_ok())
            .count();
        assert_eq!(pushed, 10);
    }

    #[tokio::test]
    async fn the_close_fits_behind_a_full_queue_and_comes_last() {
        let (outbox, mut drain) = bounded(&Limits::default());
        while outbox.push("x".into()).is_ok() {}
        outbox.close(CloseCode::Normal);
        drop(outbox);
        let mut last = None;
        while let Some(next) = drain.next().await {
            last = Some(next);
        }
        assert!(matches!(last, Some(Outgoing::Close(CloseCode::Normal))));
    }
}
