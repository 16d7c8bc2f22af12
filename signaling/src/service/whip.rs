//! WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): one HTTP resource per session. The two differ in who sends.

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Path, Query, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE, ETAG, IF_MATCH, LINK, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, post};
use baton_protocol::limits::MAX_SDP;
use baton_protocol::{IceServer, RoomId, TrackId};
use serde::Deserialize;
use tokio::sync::oneshot;
use tower_http::cors::CorsLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::actor::Event;
use super::host_socket::bearer;
use super::problem::Problem;
use super::sdpfrag::{self, MAX_FRAGMENT};
use super::{Service, guard, now};
use crate::registry::{Call, CallReply, Publisher, SessionId, SessionKey, SessionOpen};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// `/whip` and `/whep`. `cors` answers `OPTIONS`; what is accepted is said beside it (RFC 9725 section 4.2).
pub(super) fn routes(cors: CorsLayer) -> Router<Service> {
    let sdp = HeaderValue::from_static(SDP);
    let fragment = HeaderValue::from_static(FRAGMENT);
    let endpoints = Router::new()
        .route("/whip/{room}", endpoint(Door::Whip))
        .route("/whep/{room}", endpoint(Door::Whep))
        .layer(cors.clone())
        .layer(SetResponseHeaderLayer::if_not_present(ACCEPT_POST, sdp));
    let resources = Router::new()
        .route("/whip/{room}/{session}", resource())
        .route("/whep/{room}/{session}", resource())
        .layer(cors)
        .layer(SetResponseHeaderLayer::if_not_present(
            ACCEPT_PATCH,
            fragment,
        ));
    endpoints.merge(resources)
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Whip,
    Whep,
}

/// What may stand in the query. Whatever else stands there is passed over.
#[derive(Debug, Default, Deserialize)]
struct Wishes {
    name: Option<String>,
    participant: Option<String>,
    track: Option<String>,
}

fn endpoint(door: Door) -> MethodRouter<Service> {
    let open = move |service: State<Service>,
                     room: Path<String>,
                     query: Query<Wishes>,
                     uri: Uri,
                     headers: HeaderMap,
                     body: Body| async move {
        let request = Request {
            path: uri.path().to_owned(),
            headers,
            body,
        };
        open(&service, door, &room, query.0, request)
            .await
            .unwrap_or_else(IntoResponse::into_response)
    };
    post(open).fallback(|| async {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "POST an offer here")
            .with(ALLOW, HeaderValue::from_static("POST, OPTIONS"))
    })
}

fn resource() -> MethodRouter<Service> {
    delete(close).patch(patch).fallback(|| async {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "PATCH or DELETE a session")
            .with(ALLOW, HeaderValue::from_static("PATCH, DELETE, OPTIONS"))
    })
}

/// What an offer came with.
struct Request {
    path: String,
    headers: HeaderMap,
    body: Body,
}

async fn open(
    service: &Service,
    door: Door,
    room: &str,
    wishes: Wishes,
    request: Request,
) -> Result<Response, Problem> {
    guard_pages(service, &request.headers)?;
    let room = room_id(room)?;
    check_type(&request.headers, SDP)?;
    check_accept(&request.headers)?;
    let sdp = text(request.body, MAX_SDP).await?;
    if sdp.trim().is_empty() {
        let detail = "the body is an SDP offer";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let publisher = match door {
        Door::Whip => Publisher::Yes,
        Door::Whep => Publisher::No {
            participant: wishes.participant,
            track: wishes.track.as_deref().map(track_id).transpose()?,
        },
    };
    let default_name = match door {
        Door::Whip => "WHIP",
        Door::Whep => "WHEP",
    };
    let open = Call::Open(SessionOpen {
        room,
        token: bearer(&request.headers).map(str::to_owned),
        name: wishes.name.unwrap_or_else(|| default_name.to_owned()),
        publisher,
        sdp,
    });
    let CallReply::Opened { session, etag, sdp } = call(service, open).await? else {
        return Err(Problem::stopped());
    };
    let location = format!(
        "{}/{}",
        request.path.trim_end_matches('/'),
        session.as_str()
    );
    let mut response = (StatusCode::CREATED, sdp).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(SDP));
    headers.insert(LOCATION, header(&location)?);
    headers.insert(ETAG, header(&format!("\"{etag}\""))?);
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(FRAGMENT));
    let turn = service.inner.config.turn.as_ref();
    let turn = turn.map(|turn| turn.server(default_name, now().unix_s()));
    let servers = service.inner.config.ice_servers.iter().cloned().chain(turn);
    for link in servers.flat_map(|server| ice_links(&server)) {
        headers.append(LINK, header(&link)?);
    }
    Ok(response)
}

async fn patch(
    State(service): State<Service>,
    Path((room, session)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    guard_pages(&service, &headers)?;
    let key = session_key(&room, session, &headers)?;
    check_type(&headers, FRAGMENT)?;
    // RFC 9725 section 4.3.1: a trickle names the ICE session it belongs to, a restart any.
    let etag = headers.get(IF_MATCH).ok_or_else(|| {
        Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "say If-Match: the ETag to trickle, * to restart ICE",
        )
    })?;
    let etag = etag
        .to_str()
        .unwrap_or_default()
        .trim()
        .trim_matches('"')
        .to_owned();
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let fragment = text(body, MAX_FRAGMENT).await?;
    let fragment = sdpfrag::parse(&fragment).map_err(|error| bad(error.to_string()))?;
    let question = match fragment.ice {
        Some(ice) if etag == "*" => Call::Restart {
            key,
            ice,
            candidates: fragment.candidates,
        },
        None if etag == "*" => {
            return Err(bad("an ICE restart brings ice-ufrag and ice-pwd".to_owned()));
        }
        _ => Call::Trickle {
            key,
            etag,
            candidates: fragment.candidates,
        },
    };
    match call(&service, question).await? {
        CallReply::Restarted {
            etag,
            ice,
            candidates,
        } => {
            let mut response = sdpfrag::write(&ice, &candidates).into_response();
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(FRAGMENT));
            headers.insert(ETAG, header(&format!("\"{etag}\""))?);
            Ok(response)
        }
        CallReply::Opened { .. } | CallReply::Done | CallReply::Failed(_) => {
            Ok(StatusCode::NO_CONTENT.into_response())
        }
    }
}

async fn close(
    State(service): State<Service>,
    Path((room, session)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    guard_pages(&service, &headers)?;
    let key = session_key(&room, session, &headers)?;
    call(&service, Call::Close { key }).await?;
    Ok(StatusCode::OK)
}

/// The whole body, if it is text and not too large. What says that it is too large is not read at all.
async fn text(body: Body, most: usize) -> Result<String, Problem> {
    let too_large = || {
        let detail = format!("the body has at most {most} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let said = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if said > most {
        return Err(too_large());
    }
    let bytes = axum::body::to_bytes(body, most).await;
    let bytes = bytes.map_err(|_| too_large())?;
    String::from_utf8(bytes.into())
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is UTF-8 text"))
}

/// Asks the registry and waits for the host, which is given its time there.
async fn call(service: &Service, question: Call) -> Result<CallReply, Problem> {
    let (reply, answer) = oneshot::channel();
    let event = Event::Call { question, reply };
    service
        .inner
        .events
        .send(event)
        .await
        .map_err(|_| Problem::stopped())?;
    match answer.await {
        Ok(CallReply::Failed(error)) => Err(error.into()),
        Ok(reply) => Ok(reply),
        Err(_) => Err(Problem::stopped()),
    }
}

fn guard_pages(service: &Service, headers: &HeaderMap) -> Result<(), Problem> {
    match guard::may_change(service, headers) {
        true => Ok(()),
        false => Err(Problem::forbidden(
            "this page's origin may not use this service",
        )),
    }
}

fn room_id(text: &str) -> Result<RoomId, Problem> {
    text.parse()
        .map_err(|error: baton_protocol::InvalidRoomId| Problem::not_found(error.to_string()))
}

fn track_id(text: &str) -> Result<TrackId, Problem> {
    let number = text.strip_prefix('t').unwrap_or(text).parse();
    number
        .map(TrackId)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "a track is a number"))
}

fn session_key(room: &str, session: String, headers: &HeaderMap) -> Result<SessionKey, Problem> {
    Ok(SessionKey {
        room: room_id(room)?,
        session: SessionId::from(session),
        token: bearer(headers).map(str::to_owned),
    })
}

fn check_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given.and_then(|given| given.split(';').next());
    if essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted)) {
        return Ok(());
    }
    let detail = format!("the Content-Type here is {wanted}");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

/// The answer is SDP; whoever accepts something, but not that, gets nothing.
fn check_accept(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(accept) = headers.get(ACCEPT) else {
        return Ok(());
    };
    let accept = accept.to_str().unwrap_or_default();
    let mut ranges = accept
        .split(',')
        .filter_map(|range| range.split(';').next());
    let is_sdp = |range: &str| {
        matches!(range.trim(), "*/*" | "application/*") || range.trim().eq_ignore_ascii_case(SDP)
    };
    if ranges.any(is_sdp) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        "the answer is application/sdp",
    ))
}

/// `Link` values of one server (RFC 9725 section 4.6).
fn ice_links(server: &IceServer) -> Vec<String> {
    let quoted = |text: &str| text.replace(['"', '\\', '\r', '\n'], "");
    let mut extras = String::new();
    if let (Some(username), Some(credential)) = (&server.username, &server.credential) {
        let (username, credential) = (quoted(username), quoted(credential));
        extras = format!(
            "; username=\"{username}\"; credential=\"{credential}\"; credential-type=\"password\""
        );
    }
    let link = |url: &String| format!("<{url}>; rel=\"ice-server\"{extras}");
    server.urls.iter().map(link).collect()
}

fn header(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(|_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the service is misconfigured: bad ICE server",
        )
    })
}

const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
