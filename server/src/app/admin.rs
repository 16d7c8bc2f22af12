//! The private listener: is the process alive, is it ready, what are its numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use baton_server::Snapshots;
use baton_signaling::Service;
use prometheus_client::registry::Registry;

use super::metrics;

/// What the listener looks at.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    /// Of the host, where there is one.
    pub(crate) snapshots: Option<Snapshots>,
    pub(crate) is_draining: Arc<AtomicBool>,
    registry: Arc<Registry>,
}

impl Admin {
    pub(crate) fn new(snapshots: Option<Snapshots>, service: Option<Service>) -> Self {
        let registry = metrics::registry(snapshots.clone(), service);
        Self {
            snapshots,
            is_draining: Arc::new(AtomicBool::new(false)),
            registry: Arc::new(registry),
        }
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/metrics", get(numbers))
            .with_state(self)
    }

    fn is_alive(&self) -> bool {
        let workers = self.snapshots.as_ref();
        workers.is_none_or(|workers| workers.are_fresh(Instant::now()))
    }
}

/// Do the media threads still turn?
async fn livez(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.is_alive() {
        true => (StatusCode::OK, "alive\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "a media thread hangs or is gone; restart\n",
        ),
    }
}

/// Shall new people be sent here? The sockets are open since before this listener was.
async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.is_draining.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match admin.is_alive() {
        true => (StatusCode::OK, "ready\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "a media thread hangs or is gone\n",
        ),
    }
}

async fn numbers(State(admin): State<Admin>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &admin.registry) {
        Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, OPENMETRICS)], text),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(CONTENT_TYPE, "text/plain")],
            String::new(),
        ),
    }
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
