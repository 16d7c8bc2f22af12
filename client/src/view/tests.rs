use baton_protocol::{
    Epoch, Grants, HostId, HostKind, HostTerm, Joined, ParticipantInfo, TrackInfo,
};
use proptest::prelude::*;

use super::*;

const LARGE: Size = Size {
    width: 1280,
    height: 720,
};
const SMALL: Size = Size {
    width: 320,
    height: 180,
};

#[test]
fn the_active_speaker_is_large_and_the_others_are_small() {
    let room = room(&[
        (1, Source::Camera),
        (2, Source::Camera),
        (3, Source::Camera),
    ]);
    let wants = wants(&room, &[ParticipantId(3), ParticipantId(2)], LARGE);
    assert_eq!(sizes(&wants), [(3, LARGE), (2, SMALL)]);
}

#[test]
fn a_shared_screen_is_larger_than_who_speaks() {
    let room = room(&[(2, Source::Camera), (3, Source::Screen)]);
    let wants = wants(&room, &[ParticipantId(2)], LARGE);
    assert_eq!(sizes(&wants), [(3, LARGE), (2, SMALL)]);
}

#[test]
fn the_own_picture_sound_and_muted_pictures_are_not_wanted() {
    let room = room(&[
        (1, Source::Camera),
        (2, Source::Microphone),
        (4, Source::Camera),
    ]);
    assert_eq!(wants(&room, &[], LARGE), []);
}

#[test]
fn who_has_a_slot_keeps_it_when_sizes_change() {
    let slots = slots(3);
    let mut view = View::default();
    let before = view.assign(&slots, &[want(5, 1), want(6, 0)]);
    let after = view.assign(&slots, &[want(6, 1), want(5, 0), want(7, 0)]);
    assert_eq!(places(&before), [("s0", 5), ("s1", 6)]);
    assert_eq!(places(&after), [("s0", 5), ("s1", 6), ("s2", 7)]);
}

#[test]
fn a_slot_that_showed_nothing_is_taken_before_one_that_did() {
    let slots = slots(2);
    let mut view = View::default();
    view.assign(&slots, &[want(5, 0)]);
    assert_eq!(places(&view.assign(&slots, &[want(6, 0)])), [("s1", 6)]);
}

proptest! {
    #[test]
    fn the_most_important_are_shown_once_each_and_never_more_than_there_are_slots(
        slot_count in 0..6_usize,
        rounds in prop::collection::vec(prop::collection::btree_set(0..10_u32, 0..9), 1..6),
    ) {
        let slots = slots(slot_count);
        let mut view = View::default();
        for tracks in rounds {
            let wants: Vec<Want> = tracks.into_iter().map(|track| want(track, 0)).collect();
            let shown = view.assign(&slots, &wants);
            let tracks: BTreeSet<TrackId> = shown.iter().map(|slot| slot.track).collect();
            let first: BTreeSet<TrackId> = wants.iter().take(slot_count).map(|want| want.track).collect();
            prop_assert_eq!(tracks, first);
            prop_assert_eq!(shown.len(), wants.len().min(slot_count));
        }
    }
}

fn want(track: u32, priority: u8) -> Want {
    Want {
        track: TrackId(track),
        size: SMALL,
        priority,
    }
}

fn slots(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("s{n}")).collect()
}

fn places(shown: &[SlotView]) -> Vec<(&str, u32)> {
    shown
        .iter()
        .map(|slot| (slot.slot.as_str(), slot.track.0))
        .collect()
}

fn sizes(wants: &[Want]) -> Vec<(u32, Size)> {
    wants.iter().map(|want| (want.track.0, want.size)).collect()
}

/// One participant per entry, whose track has their number; the fourth is muted. The first is oneself.
fn room(tracks: &[(u32, Source)]) -> Room {
    let participant = |&(id, source): &(u32, Source)| ParticipantInfo {
        id: ParticipantId(id),
        name: String::new(),
        tracks: vec![TrackInfo {
            id: TrackId(id),
            mid: "0".to_owned(),
            source,
            layers: Vec::new(),
            muted: id == 4,
        }],
        connected: true,
    };
    Room::new(&Joined {
        signing_key: None,
        protocol: 1,
        room: "standup".parse().unwrap(),
        me: ParticipantId(1),
        resumed: false,
        gathering: false,
        resume: String::new(),
        grants: Grants::talk(),
        host: HostTerm {
            epoch: Epoch::FIRST,
            host: HostId(1),
            kind: HostKind::Central,
            name: String::new(),
        },
        participants: tracks.iter().map(participant).collect(),
        ice_servers: Vec::new(),
    })
}
