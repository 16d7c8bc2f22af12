//! REST under `/api/v1`: looking at rooms, removing and muting, and making tokens. For programs of the operator: an
//! admin token is needed, except where the service is open.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use baton_protocol::{
    Grants, HostKind, ParticipantId, ParticipantInfo, RoomId, TrackId, TrackInfo,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::host_socket::bearer;
use super::hosting;
use super::openapi;
use super::problem::{Problem, ProblemBody};
use super::{Service, guard, now};
use crate::registry::RoomView;
use crate::text::checked_name;
use crate::token::{JoinToken, MAX_TOKEN_LIFE, Token};

/// Largest body of a request, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Lifetime of a minted token where the request does not say, in seconds.
const DEFAULT_LIFE: u64 = 600;

/// Everything below `/api/v1`.
pub(super) fn routes() -> Router<Service> {
    Router::new()
        .route("/openapi.json", get(openapi::document))
        .route("/rooms", get(list_rooms))
        .route("/rooms/{room}", get(room).delete(delete_room))
        .route(
            "/rooms/{room}/hosting",
            get(hosting::hosting).post(hosting::order_hosting),
        )
        .route("/rooms/{room}/tokens", post(mint_token))
        .route("/rooms/{room}/participants", get(list_participants))
        .route(
            "/rooms/{room}/participants/{participant}",
            get(participant).delete(kick),
        )
        .route(
            "/rooms/{room}/participants/{participant}/tracks/{track}/mute",
            post(mute),
        )
        .fallback(|| async {
            Problem::not_found("there is nothing here; see /api/v1/openapi.json")
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "see /api/v1/openapi.json for what can be done here",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

/// Proof that a request may be answered.
pub(super) struct Admin;

impl FromRequestParts<Service> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        if !guard::may_change(service, &parts.headers) {
            return Err(Problem::forbidden(
                "this page's origin may not use this service",
            ));
        }
        let Some(token) = bearer(&parts.headers) else {
            return match service.is_open() {
                true => Ok(Self),
                false => Err(Problem::unauthorized("an admin token as bearer is needed")),
            };
        };
        match service.verify(token) {
            Ok(Token::Admin(_)) => Ok(Self),
            Ok(_) => Err(Problem::forbidden("this token is not an admin token")),
            Err(error) => Err(Problem::unauthorized(error.to_string())),
        }
    }
}

/// All rooms.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rooms {
    rooms: Vec<RoomBody>,
}

/// One room.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RoomBody {
    /// Its name, the last part of the invite link.
    #[schema(example = "stand-up")]
    room: String,
    /// Who forwards.
    host: HostBody,
    /// Number of participants, hidden ones included.
    participants: usize,
}

/// A host and its term.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HostBody {
    /// Number of the host.
    id: u32,
    /// `central` or `participant`.
    kind: &'static str,
    /// What people call it.
    name: String,
    /// Number of the term; only grows.
    epoch: u32,
}

/// Everybody in a room.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Participants {
    participants: Vec<ParticipantBody>,
}

/// One participant.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ParticipantBody {
    /// Number in the room.
    id: u32,
    /// Name that is shown.
    name: String,
    /// False while the signaling socket is lost and may still be resumed.
    connected: bool,
    /// What they publish.
    tracks: Vec<TrackBody>,
}

/// One track.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrackBody {
    /// Number in the room.
    id: u32,
    /// `microphone`, `camera`, `screen` or `screen_audio`.
    #[schema(value_type = String, example = "camera")]
    source: baton_protocol::Source,
    /// Nothing is forwarded while true.
    muted: bool,
}

/// A wish for a token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenRequest {
    /// Whose token: a second join of the same identity replaces the first. 1 to 128 bytes.
    #[schema(example = "ana@example.org")]
    identity: String,
    /// Name to show; without it people choose their own.
    #[serde(default)]
    name: Option<String>,
    /// What they may do. What is not written is not granted.
    #[schema(value_type = Object, example = json!({"publish": ["microphone", "camera"], "subscribe": true, "chat": true}))]
    grants: Grants,
    /// Lifetime in seconds, 1 to 86400; without it 600.
    #[serde(default)]
    ttl: Option<u64>,
}

/// A token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenBody {
    /// The JWT; give it to the page or as bearer to WHIP and WHEP.
    token: String,
    /// When it ends, in seconds since 1970.
    expires_at: u64,
}

/// All rooms, by name.
#[utoipa::path(get, path = "/api/v1/rooms", tag = "rooms", security(("bearer" = [])),
    responses((status = 200, body = Rooms), (status = 401, body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn list_rooms(
    _: Admin,
    State(service): State<Service>,
) -> Result<Json<Rooms>, Problem> {
    let rooms = service
        .ask(|registry, _| registry.rooms().map(RoomBody::from).collect())
        .await;
    let rooms = rooms.ok_or_else(Problem::stopped)?;
    Ok(Json(Rooms { rooms }))
}

/// One room.
#[utoipa::path(get, path = "/api/v1/rooms/{room}", tag = "rooms", security(("bearer" = [])), params(("room" = String, Path, description = "Name of the room")),
    responses((status = 200, body = RoomBody), (status = 404, body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn room(
    _: Admin,
    State(service): State<Service>,
    Path(room): Path<String>,
) -> Result<Json<RoomBody>, Problem> {
    Ok(Json(view(&service, &room).await?.into()))
}

/// Sends everybody away and forgets the room.
#[utoipa::path(delete, path = "/api/v1/rooms/{room}", tag = "rooms", security(("bearer" = [])), params(("room" = String, Path, description = "Name of the room")),
    responses((status = 204), (status = 404, body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn delete_room(
    _: Admin,
    State(service): State<Service>,
    Path(room): Path<String>,
) -> Result<StatusCode, Problem> {
    let room = room_id(&room)?;
    let was_there = service
        .ask(move |registry, now| registry.delete_room(&room, now))
        .await;
    done(was_there, "there is no such room now")
}

/// Makes a token for one person and this room.
#[utoipa::path(post, path = "/api/v1/rooms/{room}/tokens", tag = "tokens", security(("bearer" = [])), params(("room" = String, Path, description = "Name of the room")),
    request_body = TokenRequest,
    responses((status = 201, body = TokenBody), (status = 400, body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn mint_token(
    _: Admin,
    State(service): State<Service>,
    Path(room): Path<String>,
    request: Result<Json<TokenRequest>, JsonRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Json(request) =
        request.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, detail);
    let life = request.ttl.unwrap_or(DEFAULT_LIFE);
    if life == 0 || life > MAX_TOKEN_LIFE.as_secs() {
        return Err(bad("ttl is 1 to 86400 seconds"));
    }
    let issued_at = now().unix_s();
    let expires_at = issued_at + life;
    let name = request
        .name
        .as_deref()
        .map(checked_name)
        .transpose()
        .map_err(bad)?;
    let token = service.inner.config.secret.mint(&Token::Join(JoinToken {
        subject: checked_name(&request.identity).map_err(|_| bad("identity has 1 to 128 bytes"))?,
        token_id: None,
        room: room_id(&room)?,
        name,
        grants: request.grants,
        issued_at,
        expires_at,
    }));
    Ok((StatusCode::CREATED, Json(TokenBody { token, expires_at })))
}

/// Everybody in a room.
#[utoipa::path(get, path = "/api/v1/rooms/{room}/participants", tag = "participants", security(("bearer" = [])), params(("room" = String, Path, description = "Name of the room")),
    responses((status = 200, body = Participants), (status = 404, body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn list_participants(
    _: Admin,
    State(service): State<Service>,
    Path(room): Path<String>,
) -> Result<Json<Participants>, Problem> {
    let view = view(&service, &room).await?;
    let participants = view
        .participants
        .into_iter()
        .map(ParticipantBody::from)
        .collect();
    Ok(Json(Participants { participants }))
}

/// One participant.
#[utoipa::path(get, path = "/api/v1/rooms/{room}/participants/{participant}", tag = "participants", security(("bearer" = [])),
    params(("room" = String, Path, description = "Name of the room"), ("participant" = u32, Path, description = "Number of the participant")),
    responses((status = 200, body = ParticipantBody), (status = 404, body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn participant(
    _: Admin,
    State(service): State<Service>,
    Path((room, participant)): Path<(String, String)>,
) -> Result<Json<ParticipantBody>, Problem> {
    let wanted = ParticipantId(number(&participant)?);
    let view = view(&service, &room).await?;
    let found = view.participants.into_iter().find(|one| one.id == wanted);
    let found = found.ok_or_else(|| Problem::not_found("there is no such participant now"))?;
    Ok(Json(found.into()))
}

/// Removes a participant for good: the tokens they have now do not let them in again.
#[utoipa::path(delete, path = "/api/v1/rooms/{room}/participants/{participant}", tag = "participants", security(("bearer" = [])),
    params(("room" = String, Path, description = "Name of the room"), ("participant" = u32, Path, description = "Number of the participant")),
    responses((status = 204), (status = 404, body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn kick(
    _: Admin,
    State(service): State<Service>,
    Path((room, participant)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (room, participant) = (room_id(&room)?, ParticipantId(number(&participant)?));
    let was_there = service
        .ask(move |registry, now| registry.kick_participant(&room, participant, now))
        .await;
    done(was_there, "there is no such participant now")
}

/// Mutes a track at once. Only its publisher can unmute it.
#[utoipa::path(post, path = "/api/v1/rooms/{room}/participants/{participant}/tracks/{track}/mute", tag = "participants", security(("bearer" = [])),
    params(("room" = String, Path, description = "Name of the room"), ("participant" = u32, Path, description = "Number of the participant"),
        ("track" = u32, Path, description = "Number of the track")),
    responses((status = 204), (status = 404, body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn mute(
    _: Admin,
    State(service): State<Service>,
    Path((room, participant, track)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let (room, participant) = (room_id(&room)?, ParticipantId(number(&participant)?));
    let track = TrackId(number(&track)?);
    let was_there = service
        .ask(move |registry, _| registry.mute_track(&room, participant, track))
        .await;
    done(was_there, "there is no such track now")
}

async fn view(service: &Service, room: &str) -> Result<RoomView, Problem> {
    let room = room_id(room)?;
    let view = service.ask(move |registry, _| registry.room(&room)).await;
    let view = view.ok_or_else(Problem::stopped)?;
    view.ok_or_else(|| Problem::not_found("there is no such room now"))
}

fn done(was_there: Option<bool>, missing: &str) -> Result<StatusCode, Problem> {
    match was_there {
        Some(true) => Ok(StatusCode::NO_CONTENT),
        Some(false) => Err(Problem::not_found(missing)),
        None => Err(Problem::stopped()),
    }
}

pub(super) fn room_id(text: &str) -> Result<RoomId, Problem> {
    text.parse()
        .map_err(|error: baton_protocol::InvalidRoomId| {
            Problem::new(StatusCode::BAD_REQUEST, error.to_string())
        })
}

fn number(text: &str) -> Result<u32, Problem> {
    let number = text.trim_start_matches(['p', 't']).parse();
    number.map_err(|_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "participants and tracks are numbers",
        )
    })
}

impl From<RoomView> for RoomBody {
    fn from(view: RoomView) -> Self {
        Self {
            room: view.id.into(),
            host: HostBody {
                id: view.term.host.0,
                kind: match view.term.kind {
                    HostKind::Central => "central",
                    HostKind::Participant => "participant",
                },
                name: view.term.name,
                epoch: view.term.epoch.0,
            },
            participants: view.participants.len(),
        }
    }
}

impl From<ParticipantInfo> for ParticipantBody {
    fn from(info: ParticipantInfo) -> Self {
        Self {
            id: info.id.0,
            name: info.name,
            connected: info.connected,
            tracks: info.tracks.into_iter().map(TrackBody::from).collect(),
        }
    }
}

impl From<TrackInfo> for TrackBody {
    fn from(track: TrackInfo) -> Self {
        Self {
            id: track.id.0,
            source: track.source,
            muted: track.muted,
        }
    }
}
