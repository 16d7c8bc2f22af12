//! Which web pages may talk to the service. There are no cookies, so this guards open services and people's rooms from
//! pages that a participant happens to have open (cross-site WebSocket hijacking, DNS rebinding).

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, IF_MATCH, LINK, LOCATION, ORIGIN,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::Service;
use super::problem::Problem;

/// May a page with this `Origin` open a socket? Pages of the same host and port may, and those on the list; programs
/// that are no pages send no origin.
pub(super) fn is_origin_allowed(service: &Service, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_same = authority(origin).is_some_and(|authority| Some(authority) == host);
    is_same || is_listed(service, origin)
}

/// Cross-origin requests over HTTP: listed origins, and pages of this machine where the service is open.
pub(super) fn cors(service: &Service) -> CorsLayer {
    let judge = service.clone();
    let is_allowed = move |origin: &HeaderValue, _: &Parts| is_page_allowed(&judge, origin);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_allowed))
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, IF_MATCH])
        .expose_headers([
            LOCATION,
            ETAG,
            LINK,
            HeaderName::from_static("accept-patch"),
        ])
}

/// May a request over HTTP be obeyed? CORS only hides answers; an open service must not even act for other pages.
pub(super) fn may_change(service: &Service, headers: &HeaderMap) -> bool {
    let is_open_to =
        |origin| is_origin_allowed(service, headers) || is_page_allowed(service, origin);
    headers.get(ORIGIN).is_none_or(is_open_to)
}

fn is_page_allowed(service: &Service, origin: &HeaderValue) -> bool {
    let origin = origin.to_str().unwrap_or_default();
    let is_local = service.is_open() && authority(origin).is_some_and(is_this_machine);
    is_local || is_listed(service, origin)
}

/// An open service answers only under names that no stranger can point at this machine: `localhost`, addresses, and
/// the hosts of listed origins.
pub(super) async fn check_host(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Response {
    if service.is_open() && !is_host_known(&service, request.headers(), request.uri()) {
        let message = "this open service answers only under localhost or an IP address";
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, message).into_response();
    }
    next.run(request).await
}

fn is_host_known(service: &Service, headers: &HeaderMap, uri: &Uri) -> bool {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(host) = named.or_else(|| uri.authority().map(|authority| authority.as_str())) else {
        return false;
    };
    let mut listed = service.inner.config.allowed_origins.iter();
    is_local_name(host)
        || bare_host(host).parse::<IpAddr>().is_ok()
        || listed.any(|origin| authority(origin) == Some(host))
}

fn is_listed(service: &Service, origin: &str) -> bool {
    service
        .inner
        .config
        .allowed_origins
        .iter()
        .any(|allowed| allowed == origin)
}

fn is_this_machine(authority: &str) -> bool {
    let address = bare_host(authority).parse::<IpAddr>();
    is_local_name(authority) || address.is_ok_and(|address| address.is_loopback())
}

fn is_local_name(authority: &str) -> bool {
    let host = bare_host(authority);
    host == "localhost" || host.ends_with(".localhost")
}

/// Host and port of an origin.
fn authority(origin: &str) -> Option<&str> {
    let (scheme, authority) = origin.split_once("://")?;
    matches!(scheme, "http" | "https").then_some(authority)
}

/// An authority without its port and brackets.
fn bare_host(authority: &str) -> &str {
    if let Some(bracketed) = authority.strip_prefix('[') {
        return bracketed.split(']').next().unwrap_or_default();
    }
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_bare_without_port_and_brackets() {
        for (authority, host) in [
            ("localhost:7880", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]:7880", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(bare_host(authority), host);
        }
        assert!(
            is_this_machine("127.0.0.9:1")
                && is_this_machine("a.localhost")
                && is_this_machine("[::1]:9")
        );
        assert!(!is_this_machine("localhost.evil.test") && !is_this_machine("10.0.0.1"));
    }
}
