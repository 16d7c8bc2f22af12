//! Baton's page, embedded in the binary.
//!
//! Owns: the built page, the minimal page, their paths and HTTP headers. Does not own: `/ws`, the REST paths, TLS.
//! How the page gets in here: `build.rs`.

#![forbid(unsafe_code)]

use axum::Router;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// One embedded file.
struct Asset {
    /// Path in the URL.
    path: &'static str,
    content_type: &'static str,
    /// With its quotes.
    etag: &'static str,
    /// The path changes whenever the content does.
    immutable: bool,
    bytes: &'static [u8],
    /// The same content, packed.
    brotli: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

const MINIMAL: &str = "/minimal/index.html";

/// Only what the page itself brings may run or be asked; other pages cannot frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
     media-src 'self' blob: mediastream:; font-src 'self'; connect-src 'self'; worker-src 'self'; \
     manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), \
     screen-wake-lock=(self), local-network-access=(self)";

/// Was the whole page embedded? If not, `/` serves the minimal one.
pub fn page_is_built() -> bool {
    PAGE_IS_BUILT
}

/// Serves `/`, `/r/{room}`, `/minimal` and every embedded file at its path. Other paths stay free.
pub fn router() -> Router {
    let page = || get(|headers: HeaderMap| async move { serve(page(), &headers) });
    let minimal = get(|headers: HeaderMap| async move { serve(asset(MINIMAL), &headers) });
    let router = Router::new()
        .route("/", page())
        .route("/r/{room}", page())
        .route("/minimal", minimal);
    ASSETS.iter().fold(router, |router, asset| {
        router.route(
            asset.path,
            get(move |headers: HeaderMap| async move { serve(asset, &headers) }),
        )
    })
}

fn page() -> &'static Asset {
    asset(if PAGE_IS_BUILT {
        "/index.html"
    } else {
        MINIMAL
    })
}

fn asset(path: &str) -> &'static Asset {
    ASSETS
        .iter()
        .find(|asset| asset.path == path)
        .expect("build.rs embeds the minimal page always and index.html with the whole one")
}

fn serve(asset: &'static Asset, request: &HeaderMap) -> Response {
    let cache = if asset.immutable {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, axum::http::HeaderValue::from_static(value));
    };
    set(ETAG, asset.etag);
    set(CACHE_CONTROL, cache);
    set(VARY, "accept-encoding");
    set(CONTENT_TYPE, asset.content_type);
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    // The address of a room is its invitation.
    set(REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("permissions-policy"), PERMISSIONS);
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    if lists(request, IF_NONE_MATCH, asset.etag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    match asset.brotli {
        Some(brotli) if lists(request, ACCEPT_ENCODING, "br") => {
            set(CONTENT_ENCODING, "br");
            (headers, brotli).into_response()
        }
        _ => (headers, asset.bytes).into_response(),
    }
}

/// Does one of the items of a comma-separated header say `word`, parameters and weakness aside?
fn lists(request: &HeaderMap, header: HeaderName, word: &str) -> bool {
    request
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|item| item.split(';').next())
        .any(|item| item.trim().trim_start_matches("W/") == word)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn request(path: &str, header: Option<(HeaderName, &str)>) -> Response {
        let mut request = Request::get(path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let request = request.body(Body::empty()).expect("a good request");
        router().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn a_room_link_shows_the_page() {
        for path in ["/", "/r/blue-otter-42"] {
            let reply = request(path, None).await;
            assert_eq!(reply.status(), StatusCode::OK);
            assert_eq!(reply.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(reply.headers()[ETAG], page().etag);
            assert_eq!(reply.headers()[CACHE_CONTROL], "no-cache");
        }
    }

    #[tokio::test]
    async fn the_minimal_page_is_there_with_or_without_node() {
        let reply = request("/minimal", None).await;
        assert_eq!(reply.headers()[ETAG], asset(MINIMAL).etag);
        let script = request("/minimal/minimal.js", None).await;
        assert_eq!(
            script.headers()[CONTENT_TYPE],
            "text/javascript; charset=utf-8"
        );
    }

    #[tokio::test]
    async fn a_page_that_is_known_is_not_sent_again() {
        let weak = format!("W/{}", page().etag);
        let list = format!("\"other\", {}", page().etag);
        for known in [page().etag, &weak, &list] {
            let reply = request("/", Some((IF_NONE_MATCH, known))).await;
            assert_eq!(reply.status(), StatusCode::NOT_MODIFIED, "{known}");
        }
        let reply = request("/", Some((IF_NONE_MATCH, "\"older\""))).await;
        assert_eq!(reply.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn packed_files_go_only_to_who_can_unpack_them() {
        for asset in ASSETS {
            let plain = request(asset.path, None).await;
            assert!(!plain.headers().contains_key(CONTENT_ENCODING));
            let packed = request(asset.path, Some((ACCEPT_ENCODING, "gzip, br;q=0.9"))).await;
            assert_eq!(
                packed.headers().contains_key(CONTENT_ENCODING),
                asset.brotli.is_some(),
                "{}",
                asset.path
            );
        }
    }

    #[tokio::test]
    async fn only_the_pages_own_code_may_run() {
        let reply = request("/", None).await;
        let policy = reply.headers()[CONTENT_SECURITY_POLICY]
            .to_str()
            .expect("plain text");
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"));
    }

    #[tokio::test]
    async fn other_paths_stay_free() {
        assert_eq!(request("/ws", None).await.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn files_that_never_change_carry_their_hash_in_the_name() {
        for asset in ASSETS {
            assert_eq!(asset.immutable, asset.path.starts_with("/assets/"));
            assert!(!asset.bytes.is_empty(), "{} is empty", asset.path);
        }
    }
}
