//! `/ws`: a participant's WebSocket. One JSON object per text frame; sizes, rates and silence are judged here, meaning
//! in the registry.

use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::time::Instant;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use baton_protocol::limits::MAX_MESSAGE;
use baton_protocol::{ErrorCode, PeerMessage, ServiceMessage};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{timeout, timeout_at};

use super::Service;
use super::actor::Event;
use super::admission::Ticket;
use super::guard;
use super::outbox::{CloseCode, Drain, Outbox, Outgoing, bounded};
use super::pings::pings;
use super::problem::Problem;
use crate::rate::Bucket;
use crate::registry::ConnectionId;

/// A write that takes longer means that nobody reads.
const WRITE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// All of it is cleared for each frame that comes, and most are a few bytes.
const READ_BUFFER: usize = 4 * 1024;

/// Strikes older than this do not count.
const FORGIVEN: std::time::Duration = std::time::Duration::from_secs(60);

/// How long the last frames may take.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(1);

/// Answers the upgrade of a participant.
pub(super) async fn upgrade(
    State(service): State<Service>,
    headers: HeaderMap,
    remote: Option<axum::Extension<ConnectInfo<SocketAddr>>>,
    request: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let request = match request {
        Ok(request) => request,
        Err(rejection) => {
            return Problem::new(rejection.status(), rejection.body_text()).into_response();
        }
    };
    if !guard::is_origin_allowed(&service, &headers) {
        return Problem::forbidden("this page's origin may not use this service").into_response();
    }
    let remote = remote.map(|info| info.0.0.ip());
    let ticket = match service.inner.admission.admit(remote, Instant::now()) {
        Ok(ticket) => ticket,
        Err(refusal) => return Problem::from(refusal).into_response(),
    };
    request
        .read_buffer_size(READ_BUFFER)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .max_write_buffer_size(4 * MAX_MESSAGE)
        .on_upgrade(move |socket| serve(service, socket, ticket, remote))
}

/// From the first frame to the last.
async fn serve(service: Service, socket: WebSocket, ticket: Ticket, remote: Option<IpAddr>) {
    let connection = service.fresh_connection();
    let (outbox, drain) = bounded(service.limits());
    let opened = Event::PeerOpened {
        connection,
        outbox: outbox.clone(),
    };
    if service.inner.events.send(opened).await.is_err() {
        return;
    }
    let (mut sink, mut stream) = socket.split();
    let cut = drain.cut();
    let mut reader = Reader {
        bucket: Bucket::new(
            service.limits().message_rate,
            service.limits().message_burst,
            Instant::now(),
        ),
        service: &service,
        connection,
        outbox,
        ticket,
        has_shown_token: false,
        strikes: 0,
        struck: None,
        warned: None,
    };
    let code = tokio::select! {
        code = reader.run(&mut stream) => code,
        code = write(&service, &mut sink, drain) => code,
        () = cut => Some(CloseCode::TryAgain),
    };
    if reader.has_shown_token && reader.outbox.is_unauthorized() {
        service.inner.lockout.note_failure(remote, Instant::now());
    }
    service
        .inner
        .events
        .send(Event::PeerGone { connection })
        .await
        .ok();
    if let Some(code) = code {
        let frame = CloseFrame {
            code: code.number(),
            reason: Utf8Bytes::default(),
        };
        timeout(FAREWELL, sink.send(Message::Close(Some(frame))))
            .await
            .ok();
    }
    // Bytes left unread would turn the close into a reset that swallows the last message.
    timeout(FAREWELL, async {
        while let Some(Ok(_)) = stream.next().await {}
    })
    .await
    .ok();
}

/// Writes what is queued and pings in between. Gives the code to close with.
async fn write(
    service: &Service,
    sink: &mut SplitSink<WebSocket, Message>,
    mut drain: Drain,
) -> Option<CloseCode> {
    let mut ping = pings(service.limits().ping_interval, service.inner.began);
    loop {
        let message = tokio::select! {
            next = drain.next() => match next {
                Some(Outgoing::Text(text)) => Message::Text(text),
                Some(Outgoing::Close(code)) => return Some(code),
                None => return Some(CloseCode::Restart),
            },
            _ = ping.tick() => Message::Ping(bytes::Bytes::new()),
        };
        match timeout(WRITE_TIMEOUT, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return Some(CloseCode::TryAgain),
        }
    }
}

/// Reads one socket.
struct Reader<'a> {
    service: &'a Service,
    connection: ConnectionId,
    outbox: Outbox,
    ticket: Ticket,
    bucket: Bucket,
    /// With `join`; whoever comes without one guesses nothing.
    has_shown_token: bool,
    strikes: u32,
    /// When the last strike was.
    struck: Option<Instant>,
    /// When the peer was last told that it is too fast.
    warned: Option<Instant>,
}

impl Reader<'_> {
    /// Until the peer is gone (`None`) or turned away.
    async fn run(&mut self, stream: &mut SplitStream<WebSocket>) -> Option<CloseCode> {
        let limits = self.service.limits();
        let join_by = tokio::time::Instant::now() + limits.join_timeout;
        loop {
            let silence = tokio::time::Instant::now() + limits.dead_after;
            let is_joining = self.ticket.is_stranger();
            let deadline = if is_joining {
                join_by.min(silence)
            } else {
                silence
            };
            let frame = match timeout_at(deadline, stream.next()).await {
                Ok(frame) => frame,
                Err(_) if is_joining => {
                    let message = "no `join` came in time; join within 5 seconds";
                    return self
                        .turn_away(ErrorCode::NotJoined, message, CloseCode::Policy)
                        .await;
                }
                Err(_) => return Some(CloseCode::Policy),
            };
            let text = match frame? {
                Ok(Message::Text(text)) => text,
                Ok(Message::Ping(_) | Message::Pong(_)) => continue,
                Ok(Message::Close(_)) => return None,
                Ok(Message::Binary(_)) => {
                    let message = "messages are JSON in text frames";
                    if self.strike(ErrorCode::Malformed, message).await.is_break() {
                        return None;
                    }
                    continue;
                }
                Err(error) => return self.broken(&error).await,
            };
            if self.handle_text(&text).await.is_break() {
                return None;
            }
        }
    }

    async fn handle_text(&mut self, text: &str) -> ControlFlow<()> {
        let now = Instant::now();
        if !self.bucket.take(now) {
            // One strike a second: what is over the rate meanwhile is dropped in silence.
            let is_told = self
                .warned
                .is_some_and(|warned| now.duration_since(warned).as_secs() < 1);
            if is_told {
                return ControlFlow::Continue(());
            }
            self.warned = Some(now);
            let message = "too many messages; at most 50 a second are read, this one was not";
            return self.strike(ErrorCode::TooFast, message).await;
        }
        let message = match serde_json::from_str::<PeerMessage>(text) {
            Ok(message) => message,
            Err(error) => {
                self.service.inner.counters.count_malformed();
                let message: String = format!("not a message: {error}")
                    .chars()
                    .take(300)
                    .collect();
                return self.strike(ErrorCode::Malformed, &message).await;
            }
        };
        self.service.inner.counters.count_message(&message);
        if let PeerMessage::Join(join) = &message {
            self.ticket.join();
            self.has_shown_token |= join.token.is_some() || join.resume.is_some();
        }
        let event = Event::Peer {
            connection: self.connection,
            message,
        };
        match self.service.inner.events.send(event).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    /// Says what was wrong; the last strike closes the socket.
    async fn strike(&mut self, code: ErrorCode, message: &str) -> ControlFlow<()> {
        let now = Instant::now();
        let is_forgiven = self
            .struck
            .is_some_and(|struck| now.duration_since(struck) > FORGIVEN);
        self.strikes = if is_forgiven { 1 } else { self.strikes + 1 };
        self.struck = Some(now);
        if self.strikes < self.service.limits().strikes {
            self.say(code, message, false);
            return ControlFlow::Continue(());
        }
        self.turn_away(code, message, CloseCode::Policy).await;
        ControlFlow::Break(())
    }

    async fn broken(&mut self, error: &axum::Error) -> Option<CloseCode> {
        let text = error.to_string();
        if text.contains("too long") || text.contains("too large") {
            let message = format!("a message has at most {MAX_MESSAGE} bytes");
            return self
                .turn_away(ErrorCode::Limit, &message, CloseCode::TooBig)
                .await;
        }
        None
    }

    /// The last word. Never returns: the writer ends the socket once it is said.
    async fn turn_away(
        &mut self,
        code: ErrorCode,
        message: &str,
        close: CloseCode,
    ) -> Option<CloseCode> {
        self.say(code, message, true);
        self.outbox.close(close);
        std::future::pending().await
    }

    fn say(&self, code: ErrorCode, message: &str, fatal: bool) {
        self.service.inner.counters.count_error(code);
        let error = ServiceMessage::Error {
            code,
            message: message.to_owned(),
            leg: None,
            fatal,
        };
        let text = serde_json::to_string(&error).expect("messages are plain data");
        if self.outbox.push(text.into()).is_err() {
            self.outbox.cut_off();
        }
    }
}
