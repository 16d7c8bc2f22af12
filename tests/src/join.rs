//! Enters a room over `/ws`, in the words of `signaling/protocol`, on a thread that may live in another namespace.
//!
//! The sockets stay open and are read until the [`Desk`] is dropped, so that signaling sees ordinary participants.

use std::fs::File;
use std::os::fd::AsFd;
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use baton_protocol::{
    Epoch, Join, LegId, PROTOCOL_VERSION, PeerMessage, RoomId, ServiceMessage, TrackInfo,
    TrackOffer,
};
use futures_util::{SinkExt, StreamExt};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;

/// What somebody wants of a room.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Which room.
    pub room: RoomId,
    /// Under which name.
    pub name: String,
    /// Their invitation, where one is needed.
    pub token: Option<String>,
    /// The offer.
    pub sdp: String,
    /// What the leg publishes.
    pub tracks: Vec<TrackOffer>,
}

/// What they got.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The host's answer.
    pub sdp: String,
    /// The leg's own tracks, numbered.
    pub tracks: Vec<TrackInfo>,
}

type Request = (Wish, oneshot::Sender<Result<Seat>>);

/// Where people are let in, one after the other.
#[derive(Debug)]
pub struct Desk {
    requests: Option<mpsc::UnboundedSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Desk {
    /// Opens a desk for the signaling at `url` (`ws://…/ws`). With `namespace` its sockets live there.
    ///
    /// # Errors
    /// When there is no such namespace.
    pub fn open(url: &str, namespace: Option<&str>) -> Result<Self> {
        let place = namespace
            .map(|name| File::open(format!("/run/netns/{name}")))
            .transpose()?;
        let (requests, mut waiting) = mpsc::unbounded_channel::<Request>();
        let url = url.to_owned();
        let thread = std::thread::spawn(move || {
            if let Some(place) = place {
                move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("the namespace is there and we are root");
            }
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime can be made").block_on(async {
                while let Some((wish, reply)) = waiting.recv().await {
                    tokio::spawn(attend(url.clone(), wish, reply));
                }
            });
        });
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
        })
    }

    /// Enters a room with a new participant and negotiates their leg.
    ///
    /// # Errors
    /// With what signaling refused.
    pub fn enter(&self, wish: Wish) -> Result<Seat> {
        let (reply, answer) = oneshot::channel();
        let requests = self
            .requests
            .as_ref()
            .context("the desk is open until it is dropped")?;
        requests
            .send((wish, reply))
            .ok()
            .context("the desk's thread ended")?;
        answer.blocking_recv().context("the desk's thread ended")?
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One participant's connection, from joining to the end.
async fn attend(url: String, wish: Wish, reply: oneshot::Sender<Result<Seat>>) {
    match tokio_tungstenite::connect_async(&url)
        .await
        .with_context(|| format!("connect to {url}"))
    {
        Ok((mut socket, _)) => {
            let _ = reply.send(negotiate(&mut socket, wish).await);
            while let Some(Ok(_)) = socket.next().await {}
        }
        Err(error) => drop(reply.send(Err(error))),
    }
}

async fn negotiate<S>(socket: &mut S, wish: Wish) -> Result<Seat>
where
    S: SinkExt<Message, Error: std::error::Error + Send + Sync + 'static>
        + StreamExt<Item = Result<Message, tokio_tungstenite::tungstenite::Error>>
        + Unpin,
{
    let join = Join {
        protocol: PROTOCOL_VERSION,
        room: wish.room,
        name: wish.name,
        token: wish.token,
        resume: None,
    };
    say(socket, &PeerMessage::Join(join)).await?;
    let mut offer = Some((wish.sdp, wish.tracks));
    while let Some(frame) = socket.next().await {
        let Message::Text(text) = frame? else {
            continue;
        };
        let message: ServiceMessage = serde_json::from_str(&text)?;
        #[allow(
            clippy::wildcard_enum_match_arm,
            reason = "everything else is about other people"
        )]
        match message {
            ServiceMessage::Joined(joined) => {
                let (sdp, tracks) = offer.take().context("joined twice")?;
                let epoch: Epoch = joined.host.epoch;
                say(
                    socket,
                    &PeerMessage::Offer {
                        host: None,
                        fingerprint: None,
                        leg: LegId(1),
                        epoch,
                        sdp,
                        tracks,
                    },
                )
                .await?;
            }
            ServiceMessage::Answer { sdp, tracks, .. } => return Ok(Seat { sdp, tracks }),
            ServiceMessage::Error { code, message, .. } => {
                bail!("signaling refused ({code:?}): {message}")
            }
            _ => {}
        }
    }
    bail!("signaling closed the socket before it answered")
}

async fn say<S>(socket: &mut S, message: &PeerMessage) -> Result<()>
where
    S: SinkExt<Message, Error: std::error::Error + Send + Sync + 'static> + Unpin,
{
    let text = serde_json::to_string(message)?;
    socket.send(Message::text(text)).await?;
    Ok(())
}
