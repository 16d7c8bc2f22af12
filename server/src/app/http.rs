//! One listener of the control side: routes, headers, HTTPS, and a stop that lets requests end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::header::{HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::map_response;
use axum::response::Response;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use tokio::task::JoinHandle;

/// A listener that serves.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
}

impl Serving {
    /// Serves `router` on `address`; `key` is the setting that says so.
    pub(crate) fn start(
        key: &str,
        address: SocketAddr,
        router: Router,
        tls: Option<RustlsConfig>,
    ) -> anyhow::Result<Self> {
        let bind = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let bound = listener.local_addr()?;
            Ok::<_, io::Error>((listener, bound))
        };
        let (listener, bound) =
            bind().with_context(|| format!("cannot listen on {key} = {address}"))?;
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let handle = Handle::new();
        let task = match tls {
            Some(tls) => {
                let server = axum_server::from_tcp_rustls(listener, tls)?;
                let server = server
                    .handle(handle.clone())
                    .first_request_timeout(FIRST_REQUEST);
                tokio::spawn(server.serve(service))
            }
            None => {
                let server = axum_server::from_tcp(listener)?;
                let server = server
                    .handle(handle.clone())
                    .first_request_timeout(FIRST_REQUEST);
                tokio::spawn(server.serve(service))
            }
        };
        Ok(Self {
            address: bound,
            handle,
            task,
        })
    }

    /// Takes no more connections and lets the present ones end, at most for `patience`.
    pub(crate) async fn stop(self, patience: Duration) {
        self.handle.graceful_shutdown(Some(patience));
        if let Ok(Err(error)) = self.task.await {
            tracing::warn!(%error, "a listener did not end well");
        }
    }
}

/// Page and signaling as one site. What a page may do is said by the page's own headers; these hold for every answer.
pub(crate) fn site(signaling: Router) -> Router {
    let harden = |mut response: Response| async move {
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: &'static str| {
            headers
                .entry(name)
                .or_insert(HeaderValue::from_static(value));
        };
        set(X_CONTENT_TYPE_OPTIONS, "nosniff");
        // The address of a room is its invitation.
        set(REFERRER_POLICY, "no-referrer");
        set(HeaderName::from_static("x-frame-options"), "DENY");
        response
    };
    signaling
        .merge(baton_web::router())
        .layer(map_response(harden))
}

/// A connection that has not said anything useful by then is closed.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
