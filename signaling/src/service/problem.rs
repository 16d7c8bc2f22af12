//! Errors over HTTP: problem documents (RFC 9457).

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use baton_protocol::ErrorCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::admission::Refusal;
use crate::registry::CallError;

/// What went wrong with a request, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ProblemBody {
    /// The HTTP status, repeated.
    #[schema(example = 404)]
    pub(super) status: u16,
    /// The status in words.
    #[schema(example = "Not Found")]
    pub(super) title: String,
    /// What was wrong here, and what to do.
    pub(super) detail: String,
}

/// A problem document and the headers it needs.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            headers: Vec::new(),
        }
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// A token is missing or wrong (RFC 6750 section 3).
    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        let challenge = HeaderValue::from_static("Bearer");
        Self::new(StatusCode::UNAUTHORIZED, detail)
            .with(axum::http::header::WWW_AUTHENTICATE, challenge)
    }

    /// The service has stopped.
    pub(super) fn stopped() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the service is stopping; try again in a moment",
        )
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            status: self.status.as_u16(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            detail: self.detail,
        };
        let json = serde_json::to_string(&body).expect("a problem is plain data");
        let mut response = (self.status, json).into_response();
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Address => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Service => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refusal.to_string())
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let status = match &error {
            CallError::Refused(code, _) => match code {
                ErrorCode::Unauthorized => return Self::unauthorized(error.to_string()),
                ErrorCode::Forbidden => StatusCode::FORBIDDEN,
                ErrorCode::NotFound => StatusCode::NOT_FOUND,
                ErrorCode::Limit | ErrorCode::TooFast => StatusCode::TOO_MANY_REQUESTS,
                ErrorCode::NoHost => StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
                ErrorCode::StaleEpoch => StatusCode::CONFLICT,
                ErrorCode::Malformed
                | ErrorCode::Version
                | ErrorCode::Invalid
                | ErrorCode::OfferRejected
                | ErrorCode::NotJoined => StatusCode::BAD_REQUEST,
            },
            CallError::Rejected(_) => StatusCode::BAD_REQUEST,
            CallError::NotFound => StatusCode::NOT_FOUND,
            CallError::Stale => StatusCode::PRECONDITION_FAILED,
            CallError::NoHost => StatusCode::SERVICE_UNAVAILABLE,
            CallError::Timeout => StatusCode::GATEWAY_TIMEOUT,
            CallError::Gone => StatusCode::GONE,
            CallError::Busy => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}
