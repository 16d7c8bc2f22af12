//! Writes the page's types from the Rust types, and fails while the committed file differs.
//! `make bindings` (or `BATON_BLESS=1 cargo test -p baton-protocol`) rewrites it.

use ts_rs::{Config, TS};

use crate::*;

/// Every type the page speaks, in reading order.
fn declarations() -> String {
    let cfg = Config::default();
    macro_rules! declare {
        ($($ty:ty),* $(,)?) => {
            [$(<$ty as TS>::decl(&cfg)),*].map(|decl| format!("export {decl}\n")).join("\n")
        };
    }
    declare![
        RoomId,
        ParticipantId,
        TrackId,
        LegId,
        HostId,
        Epoch,
        HostKind,
        HostTerm,
        HostSeat,
        MovePhase,
        MoveStep,
        Moving,
        HostingPolicy,
        CandidateInfo,
        Hosting,
        Grants,
        MediaKind,
        Source,
        LayerInfo,
        TrackOffer,
        TrackInfo,
        ParticipantInfo,
        IceServer,
        Resume,
        Join,
        PeerMessage,
        Joined,
        LeaveReason,
        ErrorCode,
        ServiceMessage,
        SlotView,
        PathToHost,
        PauseReason,
        SlotShown,
        LayerWanted,
        TrackWanted,
        LineReport,
        Score,
        Direction,
        LineScore,
        PathFromHost,
    ]
}

#[test]
fn the_page_has_the_types_of_today() {
    let constants = format!(
        "export const PROTOCOL_VERSION = {PROTOCOL_VERSION};\nexport const CONTROL_CHANNEL = {CONTROL_CHANNEL};\nexport const PULSE_CHANNEL = {PULSE_CHANNEL};\n"
    );
    let wanted = format!(
        "// Made from signaling/protocol by `make bindings`. Do not edit.\n\n{constants}\n{}",
        declarations()
    );
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../web/src/sdk/protocol.gen.ts"
    );
    if std::env::var_os("BATON_BLESS").is_some() {
        std::fs::write(path, &wanted).expect("the sdk folder exists");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == wanted,
        "web/src/sdk/protocol.gen.ts is stale: run `make bindings`"
    );
}

mod spelling {
    use super::*;

    #[test]
    fn an_unknown_type_is_ignored_and_a_broken_known_one_is_an_error() {
        let parse = serde_json::from_str::<PeerMessage>;
        assert_eq!(
            parse(r#"{"type":"dance","tempo":3}"#).expect("unknown"),
            PeerMessage::Unknown
        );
        assert!(parse(r#"{"type":"mute","track":"one","muted":true}"#).is_err());
        assert_eq!(
            parse(r#"{"type":"mute","track":1,"muted":true,"later":"field"}"#)
                .expect("extra field"),
            PeerMessage::Mute {
                track: TrackId(1),
                muted: true
            }
        );
    }

    #[test]
    fn a_grant_that_is_not_written_is_not_given() {
        let grants: Grants = serde_json::from_str(r#"{"subscribe":true}"#).expect("grants");
        assert!(grants.subscribe && !grants.chat && !grants.moderate && grants.publish.is_empty());
        assert!(serde_json::from_str::<Grants>(r#"{"admin":true}"#).is_err());
    }

    #[test]
    fn room_names_are_slugs() {
        assert!("stand-up_7".parse::<RoomId>().is_ok());
        for bad in ["", "Über", "a b", "a/b", "UPPER", &"x".repeat(65)] {
            assert_eq!(bad.parse::<RoomId>(), Err(InvalidRoomId), "{bad}");
        }
    }
}
