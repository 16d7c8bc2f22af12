use proptest::prelude::*;

use super::*;

const KBPS: u64 = 1000;

fn rung(layer: u8, temporal: u8, kbps: u64) -> Rung {
    let quality = Quality {
        layer,
        spatial: 0,
        temporal,
    };
    Rung::of(quality, Bitrate::from_kbps(kbps))
}

/// A camera in three layers of two temporal layers each.
fn camera() -> Vec<Rung> {
    vec![
        rung(0, 0, 80),
        rung(0, 1, 150),
        rung(1, 0, 300),
        rung(1, 1, 500),
        rung(2, 0, 1000),
        rung(2, 1, 1700),
    ]
}

const NOBODY: Importance = Importance {
    is_screen: false,
    is_speaker: false,
    priority: 1,
};

const SPEAKER: Importance = Importance {
    is_speaker: true,
    ..NOBODY
};

const SCREEN: Importance = Importance {
    is_screen: true,
    ..NOBODY
};

/// Allocates to views; gives the rung of each (0: paused) and the outcome.
fn run(
    views: &[(Importance, Vec<Rung>)],
    before: &[Target],
    kbps: Option<u64>,
    may_rise: bool,
) -> (Vec<Target>, Vec<usize>, Outcome) {
    let mut allocator = Allocator::default();
    for ((importance, rungs), before) in views.iter().zip(before) {
        allocator.add(*importance, *before, rungs.iter().copied());
    }
    let sound = Bitrate::from_kbps(40);
    let outcome = allocator.allocate(&Line {
        budget: kbps.map(Bitrate::from_kbps),
        sound,
        may_rise,
        may_return: may_rise,
        is_calm: false,
    });
    let targets: Vec<_> = (0..views.len())
        .map(|view| allocator.target(view))
        .collect();
    let place = |(view, target): (usize, &Target)| match target {
        Target::UpTo(quality) => views[view]
            .1
            .iter()
            .position(|rung| rung.quality == *quality)
            .map_or(0, |at| at + 1),
        Target::Paused | Target::Fresh => 0,
    };
    let given = targets.iter().enumerate().map(place).collect();
    (targets, given, outcome)
}

/// A screen and a camera on a line of 500 kb/s: the rung of each.
fn beside_a_screen(kbps: u64, before: Target, is_calm: bool) -> (bool, bool) {
    let mut allocator = Allocator::default();
    allocator.add(NOBODY, Target::Fresh, camera().into_iter());
    allocator.add(SCREEN, before, [rung(0, 0, kbps)].into_iter());
    let outcome = allocator.allocate(&Line {
        budget: Some(Bitrate::from_kbps(500)),
        sound: Bitrate::from_kbps(40),
        may_rise: true,
        may_return: true,
        is_calm,
    });
    let is_shown = |view| allocator.target(view) != Target::Paused;
    assert!(!is_calm || outcome.given.0 <= 750 * KBPS);
    (is_shown(1), is_shown(0))
}

#[test]
fn what_is_paused_comes_back_early_where_there_is_ample_room() {
    let back = |kbps, may_return| {
        let mut allocator = Allocator::default();
        allocator.add(NOBODY, Target::Paused, camera().into_iter());
        allocator.allocate(&Line {
            budget: Some(Bitrate::from_kbps(kbps)),
            sound: Bitrate::from_kbps(40),
            may_rise: false,
            may_return,
            is_calm: true,
        });
        allocator.target(0)
    };
    let least = camera()[0].quality;
    assert_eq!(back(500, true), Target::UpTo(least));
    assert_eq!(back(500, false), Target::Paused);
    assert_eq!(back(250, true), Target::Paused);
}

#[test]
fn a_screen_may_be_more_than_a_line_was_seen_to_carry_until_it_queues() {
    let held = Target::UpTo(rung(0, 0, 0).quality);
    for before in [Target::Fresh, held] {
        assert_eq!(beside_a_screen(300, before, false), (true, true));
        assert_eq!(beside_a_screen(650, before, true), (true, false));
        assert_eq!(beside_a_screen(650, before, false), (false, true));
        assert_eq!(beside_a_screen(750, before, true), (false, true));
    }
    // One that was too much has to wait until there is room.
    assert_eq!(beside_a_screen(650, Target::Paused, true), (false, true));
}

fn fresh(views: &[(Importance, Vec<Rung>)], kbps: u64) -> Vec<usize> {
    run(views, &vec![Target::Fresh; views.len()], Some(kbps), true).1
}

#[test]
fn everybody_gets_the_lowest_layer_before_anybody_gets_a_better_one() {
    let views = vec![(SPEAKER, camera()), (NOBODY, camera()), (NOBODY, camera())];
    // Three times 150 and 40 of sound, and the room that is left.
    assert_eq!(fresh(&views, 600), [2, 2, 2]);
    assert_eq!(fresh(&views, 1000), [4, 2, 2]);
    assert_eq!(fresh(&views, 2500), [6, 2, 2]);
    assert_eq!(fresh(&views, 2900), [6, 3, 3]);
    assert_eq!(fresh(&views, 9000), [6, 6, 6]);
}

#[test]
fn what_does_not_fit_is_paused_from_the_least_important_on_and_sound_never() {
    let views = vec![(NOBODY, camera()), (SPEAKER, camera()), (SCREEN, camera())];
    assert_eq!(fresh(&views, 300), [1, 1, 1]);
    assert_eq!(fresh(&views, 210), [0, 1, 1]);
    assert_eq!(fresh(&views, 125), [0, 0, 1]);
    assert_eq!(fresh(&views, 45), [0, 0, 0]);
    let (_, _, outcome) = run(&views, &[Target::Fresh; 3], Some(45), true);
    assert_eq!(outcome.given, Bitrate::from_kbps(40));
    assert_eq!(outcome.wants.0 / KBPS, 3 * 1700 * 115 / 100 + 40);
}

#[test]
fn without_a_limit_everybody_gets_their_best() {
    let views = vec![(NOBODY, camera()), (NOBODY, camera())];
    let (_, given, outcome) = run(&views, &[Target::Paused, Target::Fresh], None, false);
    assert_eq!(given, [6, 6]);
    assert_eq!((outcome.given, outcome.rose), (outcome.wants, true));
}

#[test]
fn a_screen_that_does_not_fit_does_not_keep_the_others_from_being_seen() {
    let views = vec![(SCREEN, vec![rung(0, 0, 2500)]), (NOBODY, camera())];
    assert_eq!(fresh(&views, 500), [0, 4 - 1]);
}

#[test]
fn a_budget_that_trembles_changes_nothing() {
    let views = vec![(SPEAKER, camera()), (NOBODY, camera())];
    let (mut targets, settled, _) = run(&views, &[Target::Fresh; 2], Some(1000), true);
    let mut changes = 0;
    for step in 0..200_u64 {
        let kbps = 950 + step * 37 % 101;
        let (next, given, outcome) = run(&views, &targets, Some(kbps), true);
        changes += usize::from(next != targets);
        assert!(given[0] <= settled[0] + 1);
        assert!(!outcome.fell);
        targets = next;
    }
    assert!(changes <= 2, "{changes} changes");
}

#[test]
fn nothing_rises_while_patience_is_asked_for_but_everything_falls_at_once() {
    let views = vec![(SPEAKER, camera()), (NOBODY, camera())];
    let (low, given, _) = run(&views, &[Target::Fresh; 2], Some(310), true);
    assert_eq!(given, [2, 1]);
    let (_, given, outcome) = run(&views, &low, Some(9000), false);
    assert_eq!((given, outcome.rose), (vec![2, 1], false));
    let (high, given, outcome) = run(&views, &low, Some(9000), true);
    assert_eq!((given, outcome.rose), (vec![6, 6], true));
    let (_, given, outcome) = run(&views, &high, Some(310), false);
    assert_eq!((given, outcome.fell), (vec![2, 1], true));
}

fn any_views() -> impl Strategy<Value = Vec<(Importance, Vec<Rung>)>> {
    let importance =
        (any::<bool>(), any::<bool>(), 0u8..30).prop_map(|(is_screen, is_speaker, priority)| {
            Importance {
                is_screen,
                is_speaker,
                priority,
            }
        });
    let rungs = proptest::collection::vec(1u64..2000, 0..9).prop_map(|steps| {
        let rates = steps.iter().scan(0, |sum, step| {
            *sum += step / 4;
            Some(*sum)
        });
        let rung = |(at, kbps)| {
            rung(
                u8::try_from(at / 3).unwrap(),
                u8::try_from(at % 3).unwrap(),
                kbps,
            )
        };
        rates.enumerate().map(rung).collect()
    });
    proptest::collection::vec((importance, rungs), 1..12)
}

fn rate_of(views: &[(Importance, Vec<Rung>)], given: &[usize]) -> u64 {
    let rate = |(view, given): (&(Importance, Vec<Rung>), &usize)| {
        given.checked_sub(1).map_or(0, |at| view.1[at].rate.0)
    };
    views.iter().zip(given).map(rate).sum()
}

proptest! {
    /// Whatever was given before: what is given fits beside the sound, and the same again changes nothing.
    #[test]
    fn it_fits_and_nothing_changes_when_nothing_changed(
        views in any_views(),
        kbps in 0u64..6000,
        then in 0u64..6000,
        may_rise in any::<bool>(),
    ) {
        let start = vec![Target::Fresh; views.len()];
        let (targets, _, _) = run(&views, &start, Some(kbps), true);
        let (next, given, outcome) = run(&views, &targets, Some(then), may_rise);
        prop_assert!(rate_of(&views, &given) <= (then * KBPS).saturating_sub(40 * KBPS));
        prop_assert_eq!(outcome.given.0, rate_of(&views, &given) + 40 * KBPS);
        // What a fall has set free may be given to others, once.
        let mut before = run(&views, &next, Some(then), may_rise).0;
        for again in [true, false] {
            prop_assume!(again <= may_rise);
            let (same, _, outcome) = run(&views, &before, Some(then), again);
            prop_assert_eq!(&same, &before);
            prop_assert!(!outcome.fell && !outcome.rose);
            before = same;
        }
    }

    /// A larger budget never takes from the more important: where two allocations first differ, by importance, the larger gave more.
    #[test]
    fn it_is_monotone_in_the_budget(views in any_views(), kbps in 0u64..6000, more in 0u64..3000) {
        let start = vec![Target::Fresh; views.len()];
        let (_, less, _) = run(&views, &start, Some(kbps), true);
        let (_, more, _) = run(&views, &start, Some(kbps + more), true);
        let mut order: Vec<_> = (0..views.len()).collect();
        order.sort_by_key(|&view| (std::cmp::Reverse(views[view].0), view));
        let shown = |given: &[usize]| order.iter().map(|&view| given[view] > 0).collect::<Vec<_>>();
        prop_assert!(shown(&less) <= shown(&more), "{less:?} then {more:?}");
    }

    /// Among pictures that are alike, at most one gets worse from more, by a step that another gained.
    #[test]
    fn like_pictures_all_gain_from_more(count in 1usize..10, kbps in 0u64..9000, more in 0u64..3000) {
        let views = vec![(NOBODY, camera()); count];
        let (less, more) = (fresh(&views, kbps), fresh(&views, kbps + more));
        let is_worse = |(less, more): &(&usize, &usize)| less > more;
        prop_assert!(less.iter().zip(&more).filter(is_worse).count() <= 1, "{less:?} then {more:?}");
        prop_assert!(less.iter().sum::<usize>() <= more.iter().sum::<usize>(), "{less:?} then {more:?}");
    }

    /// What is asked for is enough: with it everybody has their best.
    #[test]
    fn what_it_wants_is_enough(views in any_views(), kbps in 0u64..6000) {
        let start = vec![Target::Paused; views.len()];
        let (targets, _, outcome) = run(&views, &start, Some(kbps), true);
        let wants = outcome.wants.0.div_ceil(KBPS);
        let (_, given, _) = run(&views, &targets, Some(wants), true);
        let best: Vec<_> = views.iter().map(|view| view.1.len()).collect();
        prop_assert_eq!(given, best);
    }
}
