//! REST of a room's hosting: `/api/v1/rooms/{room}/hosting` says who carries the call, who could, and why; and takes orders.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use baton_protocol::{HostId, HostKind, HostSeat, HostingPolicy, MovePhase};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Service;
use super::api::{Admin, room_id};
use super::problem::{Problem, ProblemBody};
use crate::registry::{CandidateView, HostingChange, HostingOrder, HostingView, LineView};

/// Who carries a room's call, who could, and why it is so.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HostingBody {
    /// What may carry the room: `central`, `auto` or `prefer_participant`.
    #[schema(value_type = String, example = "auto")]
    policy: HostingPolicy,
    /// Somebody moved the call to the server by hand: it does not leave by itself before the policy is set anew.
    pinned: bool,
    /// Number of the term; only grows.
    epoch: u32,
    /// Who carries the call.
    host: SeatBody,
    /// Who takes over if that one dies.
    #[serde(skip_serializing_if = "Option::is_none")]
    standby: Option<SeatBody>,
    /// A move under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    moving: Option<MovingBody>,
    /// Computers that were offered.
    candidates: Vec<CandidateBody>,
    /// What happened lately, newest last.
    changes: Vec<ChangeBody>,
}

/// A host and whose computer it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SeatBody {
    /// Number of the host.
    id: u32,
    /// `central` or `participant`.
    kind: &'static str,
    /// What people call it.
    name: String,
    /// The participant whose computer it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<u32>,
}

/// A change of hosts that is under way.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MovingBody {
    /// Where to.
    to: SeatBody,
    /// Number of the term that begins if it succeeds.
    epoch: u32,
    /// `asked`, `prepare` or `switch`.
    phase: &'static str,
}

/// A computer that was offered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CandidateBody {
    /// Which, and whose.
    host: SeatBody,
    /// Could it carry the call now?
    fit: bool,
    /// Points; the server has 30. Absent before it was weighed.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<i32>,
    /// Why not, in words for people.
    why_not: Vec<String>,
    /// What the server measured of its line.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<LineBody>,
}

/// What a server measured of a line.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LineBody {
    /// The most that came over it lately, in bits per second.
    uplink_bps: u64,
    /// Seconds since then.
    age: u64,
    /// Lost of the newest, in parts per million.
    loss_ppm: u32,
    /// Jitter of the newest, in microseconds.
    jitter_us: u32,
    /// Round trip, in microseconds; 0 where unknown.
    rtt_us: u32,
}

/// The call has changed hosts, or was about to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChangeBody {
    /// Seconds since 1970.
    at: u64,
    /// Number of the term that began, or would have begun.
    epoch: u32,
    /// Number of the host.
    to: u32,
    /// What people call it.
    name: String,
    /// False: the call stayed where it was.
    moved: bool,
    /// Why, in words for people.
    why: String,
}

/// What is wanted of a room's hosting.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum OrderBody {
    /// Move the call.
    Pass {
        /// Number of the host; without it, back to a server.
        #[serde(default)]
        host: Option<u32>,
    },
    /// Stop the move that is under way.
    Abort,
    /// What may carry the room from now on.
    Policy {
        /// `central`, `auto` or `prefer_participant`.
        #[schema(value_type = String, example = "auto")]
        policy: HostingPolicy,
    },
}

/// Who carries a room's call, who could, and why it is so.
#[utoipa::path(get, path = "/api/v1/rooms/{room}/hosting", tag = "hosting", security(("bearer" = [])), params(("room" = String, Path, description = "Name of the room")),
    responses((status = 200, body = HostingBody), (status = 404, body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn hosting(
    _: Admin,
    State(service): State<Service>,
    Path(room): Path<String>,
) -> Result<Json<HostingBody>, Problem> {
    let room = room_id(&room)?;
    let view = service
        .ask(move |registry, now| registry.hosting_view(&room, now.instant))
        .await;
    let view = view.ok_or_else(Problem::stopped)?;
    let view = view.ok_or_else(|| Problem::not_found("there is no such room now"))?;
    Ok(Json(view.into()))
}

/// Moves the call, stops a move, or says what may carry the room. What came of it shows in `changes`.
#[utoipa::path(post, path = "/api/v1/rooms/{room}/hosting", tag = "hosting", security(("bearer" = [])), params(("room" = String, Path, description = "Name of the room")),
    request_body = OrderBody,
    responses((status = 204), (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn order_hosting(
    _: Admin,
    State(service): State<Service>,
    Path(room): Path<String>,
    order: Result<Json<OrderBody>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(order) =
        order.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let order = match order {
        OrderBody::Pass { host } => HostingOrder::Pass(host.map(HostId)),
        OrderBody::Abort => HostingOrder::Abort,
        OrderBody::Policy { policy } => HostingOrder::Policy(policy),
    };
    let room = room_id(&room)?;
    let done = service
        .ask(move |registry, now| registry.order_hosting(&room, order, now))
        .await;
    done.ok_or_else(Problem::stopped)??;
    Ok(StatusCode::NO_CONTENT)
}

impl From<HostingView> for HostingBody {
    fn from(view: HostingView) -> Self {
        Self {
            policy: view.policy,
            pinned: view.is_pinned,
            epoch: view.epoch.0,
            host: view.host.into(),
            standby: view.standby.map(SeatBody::from),
            moving: view.moving.map(|(to, epoch, phase)| MovingBody {
                to: to.into(),
                epoch: epoch.0,
                phase: match phase {
                    None => "asked",
                    Some(MovePhase::Prepare) => "prepare",
                    Some(MovePhase::Switch) => "switch",
                },
            }),
            candidates: view
                .candidates
                .into_iter()
                .map(CandidateBody::from)
                .collect(),
            changes: view.changes.into_iter().map(ChangeBody::from).collect(),
        }
    }
}

impl From<HostSeat> for SeatBody {
    fn from(seat: HostSeat) -> Self {
        Self {
            id: seat.host.0,
            kind: match seat.kind {
                HostKind::Central => "central",
                HostKind::Participant => "participant",
            },
            name: seat.name,
            owner: seat.owner.map(|owner| owner.0),
        }
    }
}

impl From<CandidateView> for CandidateBody {
    fn from(view: CandidateView) -> Self {
        Self {
            host: view.seat.into(),
            fit: view.why_not.is_empty(),
            score: view.score,
            why_not: view.why_not,
            line: view.line.map(LineBody::from),
        }
    }
}

impl From<(LineView, u64)> for LineBody {
    fn from((line, age): (LineView, u64)) -> Self {
        Self {
            uplink_bps: line.uplink_bps,
            age,
            loss_ppm: line.loss_ppm,
            jitter_us: line.jitter_us,
            rtt_us: line.rtt_us,
        }
    }
}

impl From<HostingChange> for ChangeBody {
    fn from(change: HostingChange) -> Self {
        Self {
            at: change.at,
            epoch: change.epoch.0,
            to: change.to.0,
            name: change.name,
            moved: change.has_moved,
            why: change.why,
        }
    }
}
