//! The OpenAPI 3.1 document of `/api/v1`, made from the handlers.

use axum::Json;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{api, hosting};

#[derive(OpenApi)]
#[openapi(
    info(title = "Baton", description = "Rooms, participants and tokens of a Baton service.", license(name = "Apache-2.0 OR MIT")),
    paths(
        api::list_rooms,
        api::room,
        api::delete_room,
        api::mint_token,
        api::list_participants,
        api::participant,
        api::kick,
        api::mute,
        hosting::hosting,
        hosting::order_hosting,
    ),
    modifiers(&Bearer)
)]
struct Document;

/// Admin tokens are bearer tokens.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("bearer", bearer);
    }
}

/// The document; no token is needed to read it.
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `BATON_BLESS=1 cargo test -p baton-signaling openapi` writes it anew.
    #[tokio::test]
    async fn the_document_is_the_one_in_the_repository() {
        let served = document().await.0;
        let served = serde_json::to_string_pretty(&served).expect("JSON") + "\n";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        if std::env::var_os("BATON_BLESS").is_some() {
            std::fs::write(&path, &served).expect("written");
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == served,
            "docs/openapi.json is not what is served; look at the difference after BATON_BLESS=1"
        );
    }
}
