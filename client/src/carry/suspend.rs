//! Hears from the system that it is about to sleep, and holds that up for the moment in which the call goes elsewhere.
//!
//! On Linux by logind (`org.freedesktop.login1`, which gives five seconds by default). Elsewhere, and without logind, a sleep is noticed
//! only afterwards (`sleep`). Does not own: what follows from it.

use futures_util::StreamExt;
use tokio::sync::mpsc;
use zbus::zvariant::OwnedFd;
use zbus::{Connection, Proxy};

/// The computer sleeps when this is dropped, or when the system has waited long enough.
#[derive(Debug)]
pub(super) struct Hold {
    _lock: OwnedFd,
}

/// Tells `holds` each time the system is about to sleep, for as long as somebody listens.
pub(super) async fn listen(holds: mpsc::Sender<Hold>) {
    if !cfg!(target_os = "linux") {
        return;
    }
    let watched = async {
        let bus = Connection::system().await?;
        watch(&bus, &holds).await
    };
    tokio::select! {
        watched = watched => if let Err(error) = watched {
            tracing::debug!(%error, "a sleep of this computer is noticed only afterwards");
        },
        () = holds.closed() => {}
    }
}

/// Until the bus is gone.
async fn watch(bus: &Connection, holds: &mpsc::Sender<Hold>) -> zbus::Result<()> {
    let manager = Proxy::new(
        bus,
        "org.freedesktop.login1",
        "/org/freedesktop/login1",
        "org.freedesktop.login1.Manager",
    )
    .await?;
    let mut notices = manager.receive_signal("PrepareForSleep").await?;
    let mut lock = Some(inhibit(&manager).await?);
    while let Some(notice) = notices.next().await {
        let is_before: bool = notice.body().deserialize()?;
        if !is_before {
            // Awake again: the next time too.
            lock = Some(inhibit(&manager).await?);
        } else if let Some(lock) = lock.take() {
            // Whoever does not keep up with this lets it sleep.
            let _ = holds.try_send(Hold { _lock: lock });
        }
    }
    Ok(())
}

async fn inhibit(manager: &Proxy<'_>) -> zbus::Result<OwnedFd> {
    let words = (
        "sleep",
        "Baton",
        "The call goes to another host first",
        "delay",
    );
    manager.call("Inhibit", &words).await
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::time::timeout;
    use zbus::connection::Builder;
    use zbus::object_server::SignalEmitter;

    use super::*;

    /// A logind: what was asked of it, and the other ends of the locks that it gave out.
    struct Logind {
        asked: mpsc::UnboundedSender<[String; 4]>,
        locks: Mutex<Vec<UnixStream>>,
    }

    #[zbus::interface(name = "org.freedesktop.login1.Manager")]
    impl Logind {
        fn inhibit(&self, what: String, who: String, why: String, mode: String) -> OwnedFd {
            let (ours, theirs) = UnixStream::pair().unwrap();
            self.locks.lock().unwrap().push(ours);
            self.asked.send([what, who, why, mode]).unwrap();
            OwnedFd::from(std::os::fd::OwnedFd::from(theirs))
        }

        #[zbus(signal)]
        async fn prepare_for_sleep(emitter: &SignalEmitter<'_>, start: bool) -> zbus::Result<()>;
    }

    async fn soon<T>(what: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(5), what)
            .await
            .expect("in time")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sleep_is_held_up_until_the_hold_is_dropped_and_the_next_one_too() {
        let (near, far) = tokio::net::UnixStream::pair().unwrap();
        let (asked, mut questions) = mpsc::unbounded_channel();
        let logind = Logind {
            asked,
            locks: Mutex::default(),
        };
        let guid = zbus::Guid::generate();
        let server = Builder::unix_stream(far).server(guid).unwrap().p2p();
        let server = server.serve_at("/org/freedesktop/login1", logind).unwrap();
        let client = Builder::unix_stream(near).p2p();
        let (server, client) = tokio::join!(server.build(), client.build());
        let (server, client) = (server.unwrap(), client.unwrap());
        let (outbox, mut holds) = mpsc::channel(1);
        let watching = tokio::spawn(async move { watch(&client, &outbox).await });
        let logind = server
            .object_server()
            .interface::<_, Logind>("/org/freedesktop/login1")
            .await
            .unwrap();
        for _ in 0..2 {
            let [what, who, _, mode] = soon(questions.recv()).await.unwrap();
            assert_eq!([what, who, mode], ["sleep", "Baton", "delay"]);
            Logind::prepare_for_sleep(logind.signal_emitter(), true)
                .await
                .unwrap();
            let hold = soon(holds.recv()).await.unwrap();
            let mut lock = logind.get().await.locks.lock().unwrap().pop().unwrap();
            lock.set_nonblocking(true).unwrap();
            assert!(lock.read(&mut [0]).is_err(), "it is still held");
            drop(hold);
            let mut lock = tokio::net::UnixStream::from_std(lock).unwrap();
            let end = soon(tokio::io::AsyncReadExt::read(&mut lock, &mut [0])).await;
            assert_eq!(end.unwrap(), 0, "and now no more");
            Logind::prepare_for_sleep(logind.signal_emitter(), false)
                .await
                .unwrap();
        }
        soon(questions.recv()).await.unwrap();
        watching.abort();
    }
}
