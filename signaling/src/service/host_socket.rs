//! `/host`: the WebSocket of a host on another computer. The same words as the in-process link.

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, ORIGIN};
use axum::response::{IntoResponse, Response};
use baton_protocol::HostMessage;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::actor::Event;
use super::outbox::CloseCode;
use super::problem::Problem;
use super::{HOST_QUEUE, Service};
use crate::host::LinkId;
use crate::token::{ComputerOwner, Token};

/// Largest message of a host: the roster of its rooms.
const MAX_HOST_MESSAGE: usize = 16 * 1024 * 1024;

/// All of it is cleared for each frame that comes.
const READ_BUFFER: usize = 16 * 1024;

/// A write that takes longer means that nobody reads.
const WRITE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// How long the last frame may take.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(1);

/// Answers the upgrade of a host.
pub(super) async fn upgrade(
    State(service): State<Service>,
    headers: HeaderMap,
    request: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let request = match request {
        Ok(request) => request,
        Err(rejection) => {
            return Problem::new(rejection.status(), rejection.body_text()).into_response();
        }
    };
    if headers.contains_key(ORIGIN) {
        return Problem::forbidden("a host is no web page").into_response();
    }
    let subject = match host_subject(&service, &headers) {
        Ok(subject) => subject,
        Err(problem) => return problem.into_response(),
    };
    request
        .read_buffer_size(READ_BUFFER)
        .max_message_size(MAX_HOST_MESSAGE)
        .max_frame_size(MAX_HOST_MESSAGE)
        .on_upgrade(move |socket| serve(service, socket, subject))
}

/// Who links: the subject of the token, and whose computer it is if it is not the operator's.
type Identity = (Option<String>, Option<ComputerOwner>);

/// Whose host it is. Where the service is open it needs no token, but must not show a wrong one.
fn host_subject(service: &Service, headers: &HeaderMap) -> Result<Identity, Problem> {
    let Some(token) = bearer(headers) else {
        return match service.is_open() {
            true => Ok((None, None)),
            false => Err(Problem::unauthorized("a host needs a host token as bearer")),
        };
    };
    match service.verify(token) {
        Ok(Token::Host(host)) => Ok((Some(host.subject), host.owner)),
        Ok(_) => Err(Problem::unauthorized("this token does not let a host in")),
        Err(error) => Err(Problem::unauthorized(error.to_string())),
    }
}

/// The token of an `Authorization: Bearer` header (RFC 6750 section 2.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn serve(service: Service, socket: WebSocket, (subject, owner): Identity) {
    let link = service.fresh_link();
    let (commands, inbox) = mpsc::channel(HOST_QUEUE);
    let opened = Event::HostOpened {
        link,
        subject,
        owner,
        commands,
    };
    if service.inner.events.send(opened).await.is_err() {
        return;
    }
    let (mut sink, mut stream) = socket.split();
    let code = tokio::select! {
        code = read(&service, link, &mut stream) => code,
        code = write(&service, &mut sink, inbox) => code,
    };
    service
        .inner
        .events
        .send(Event::HostGone { link })
        .await
        .ok();
    let frame = CloseFrame {
        code: code.number(),
        reason: Utf8Bytes::default(),
    };
    timeout(FAREWELL, sink.send(Message::Close(Some(frame))))
        .await
        .ok();
}

async fn read(service: &Service, link: LinkId, stream: &mut SplitStream<WebSocket>) -> CloseCode {
    loop {
        let frame = match timeout(service.limits().dead_after, stream.next()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_)) | None) => return CloseCode::Normal,
            Err(_) => return CloseCode::Policy,
        };
        let text = match frame {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(_) => return CloseCode::Normal,
            Message::Binary(_) => return CloseCode::Policy,
        };
        let message = match serde_json::from_str::<HostMessage>(&text) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(link = link.0, %error, "host sent what is no message");
                return CloseCode::Policy;
            }
        };
        if service
            .inner
            .events
            .send(Event::Host { link, message })
            .await
            .is_err()
        {
            return CloseCode::Restart;
        }
    }
}

async fn write(
    service: &Service,
    sink: &mut SplitSink<WebSocket, Message>,
    mut commands: mpsc::Receiver<baton_protocol::HostCommand>,
) -> CloseCode {
    let mut ping = interval(service.limits().ping_interval);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            command = commands.recv() => match command {
                Some(command) => {
                    let text = serde_json::to_string(&command).expect("commands are plain data");
                    Message::Text(text.into())
                }
                None => return CloseCode::Restart,
            },
            _ = ping.tick() => Message::Ping(bytes::Bytes::new()),
        };
        match timeout(WRITE_TIMEOUT, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return CloseCode::Normal,
            Err(_) => return CloseCode::TryAgain,
        }
    }
}
