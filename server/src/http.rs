//! One listener of the control side: routes, headers, HTTPS, and a stop that lets requests end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum::http::header::{HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::map_response;
use axum::response::Response;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::task::JoinHandle;

/// A listener that serves.
#[derive(Debug)]
pub struct Serving {
    /// Where, with the port that was chosen.
    pub address: SocketAddr,
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
}

impl Serving {
    /// Serves `router` on `address`; `[::]` means every address of both families. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start(
        address: SocketAddr,
        router: Router,
        tls: Option<RustlsConfig>,
    ) -> io::Result<Self> {
        Self::on(listen(address)?, router, tls)
    }

    fn on(listener: TcpListener, router: Router, tls: Option<RustlsConfig>) -> io::Result<Self> {
        let bound = listener.local_addr()?;
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
    pub async fn stop(self, patience: Duration) {
        self.handle.graceful_shutdown(Some(patience));
        if let Ok(Err(error)) = self.task.await {
            tracing::warn!(%error, "a listener did not end well");
        }
    }
}

/// A port that is one's own, and where nobody is let in yet: the system refuses whoever comes.
#[derive(Debug)]
pub struct Reserved(Socket);

impl Reserved {
    /// Port 0 takes a free one.
    ///
    /// # Errors
    /// When it is taken.
    pub fn at(address: SocketAddr) -> io::Result<Self> {
        bind(address).map(Self)
    }

    /// With the port that was chosen.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        let address = self.0.local_addr()?;
        address
            .as_socket()
            .ok_or_else(|| io::Error::other("no address of the internet"))
    }

    /// Lets people in from now on. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the system does not listen.
    pub fn serve(self, router: Router, tls: Option<RustlsConfig>) -> io::Result<Serving> {
        Serving::on(listening(self.0)?, router, tls)
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    listening(bind(address)?)
}

fn listening(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Not every system lets IPv4 in at `[::]` unless it is told to.
fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // Connections of the process before, that linger, shall not keep the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Page and signaling as one site. What a page may do is said by the page's own headers; these hold for every answer.
pub fn site(signaling: Router) -> Router {
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

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
