//! What follows from the part that signaling gives this host in a room.

use std::time::Duration;

use baton_protocol::{Epoch, HostCommand, HostMessage, HostRole, PathFromHost, Source};

use super::people::{Meeting, Who, room};

fn serve(epoch: u32, role: HostRole, lease_ms: Option<u32>) -> HostCommand {
    HostCommand::Serve {
        room: room(),
        epoch: Epoch(epoch),
        role,
        grant: lease_ms.map(|_| "signed".to_owned()),
        lease_ms,
        beats: false,
    }
}

fn pulses(meeting: &Meeting, who: Who) -> Vec<u32> {
    let pulse = |message: &PathFromHost| match message {
        PathFromHost::Pulse { count, .. } => Some(*count),
        PathFromHost::Slots { .. }
        | PathFromHost::Speakers { .. }
        | PathFromHost::Wanted { .. }
        | PathFromHost::Line { .. }
        | PathFromHost::Lines { .. }
        | PathFromHost::Unknown => None,
    };
    meeting.told(who).iter().filter_map(pulse).collect()
}

fn pass(meeting: &mut Meeting, time: Duration) {
    let step = Duration::from_millis(10);
    for _ in 0..time.as_millis() / step.as_millis() {
        meeting.advance(step);
    }
}

#[test]
fn a_leased_host_says_twenty_times_a_second_that_it_forwards_and_no_other_host_does() {
    let mut meeting = Meeting::new(41);
    let ana = meeting.join("ana", &[], 1);
    let ben = meeting.join("ben", &[], 1);
    for (role, lease) in [
        (HostRole::Active, None),
        (HostRole::Next, Some(6000)),
        (HostRole::Standby, None),
    ] {
        meeting.command(serve(4, role, lease));
        pass(&mut meeting, Duration::from_millis(300));
        assert!(pulses(&meeting, ana).is_empty(), "{role:?}");
    }
    meeting.command(serve(4, HostRole::Active, Some(6000)));
    pass(&mut meeting, Duration::from_millis(1000));
    for who in [ana, ben] {
        let heard = pulses(&meeting, who);
        assert!((20..=21).contains(&heard.len()), "{heard:?}");
        assert!(
            heard.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "{heard:?}"
        );
    }
    meeting.command(serve(5, HostRole::Draining, None));
    let before = pulses(&meeting, ana).len();
    pass(&mut meeting, Duration::from_millis(300));
    assert_eq!(pulses(&meeting, ana).len(), before);
}

#[test]
fn a_host_that_hears_nobody_says_so_with_its_heartbeats() {
    let mut meeting = Meeting::new(46);
    let ana = meeting.join("ana", &[Source::Camera], 1);
    let ben = meeting.join("ben", &[], 1);
    let deaf = |meeting: &Meeting| {
        let told = meeting.told(ben).iter().rev();
        let mut pulses = told.filter_map(|message| {
            if let PathFromHost::Pulse { deaf_ms, .. } = message {
                Some(*deaf_ms)
            } else {
                None
            }
        });
        pulses.next().unwrap()
    };
    pass(&mut meeting, Duration::from_secs(5));
    meeting.command(serve(4, HostRole::Active, Some(6000)));
    pass(&mut meeting, Duration::from_millis(190));
    assert_eq!(deaf(&meeting), None, "nobody had anything to say before");
    for frame in 0..30 {
        meeting.publish_frame(ana, 0, frame == 0, 2);
        meeting.advance(Duration::from_millis(33));
        assert_eq!(deaf(&meeting), None, "one of them is heard");
    }
    pass(&mut meeting, Duration::from_millis(80));
    assert_eq!(deaf(&meeting), None);
    pass(&mut meeting, Duration::from_millis(75));
    let said = deaf(&meeting).unwrap();
    assert!((120..200).contains(&said), "{said}");
    meeting.publish_frame(ana, 0, true, 2);
    pass(&mut meeting, Duration::from_millis(60));
    assert_eq!(deaf(&meeting), None);
    // Where nobody speaks and no camera is on there is little to be heard.
    pass(&mut meeting, Duration::from_secs(3));
    for _ in 0..5 {
        meeting.publish_sized(ana, 0, false, &[100]);
        pass(&mut meeting, Duration::from_millis(180));
        assert_eq!(deaf(&meeting), None);
    }
    pass(&mut meeting, Duration::from_millis(100));
    let said = deaf(&meeting).unwrap();
    assert!((200..=340).contains(&said), "{said}");
}

#[test]
fn legs_live_over_terms_and_an_old_epoch_is_not_heard() {
    let mut meeting = Meeting::new(42);
    let ana = meeting.join("ana", &[Source::Camera], 1);
    meeting.command(serve(4, HostRole::Standby, None));
    meeting.command(serve(5, HostRole::Active, Some(6000)));
    meeting.command(serve(4, HostRole::Draining, None));
    pass(&mut meeting, Duration::from_millis(100));
    assert!(
        !pulses(&meeting, ana).is_empty(),
        "the last word of epoch 5 holds"
    );
    let roster = meeting.engine().roster();
    let room = &roster[0];
    assert_eq!((room.epoch, room.role), (Epoch(5), Some(HostRole::Active)));
    assert_eq!(
        (room.grant.as_deref(), room.legs.len()),
        (Some("signed"), 1)
    );
}

#[test]
fn a_room_with_a_part_outlives_its_last_leg_and_ends_with_the_word_of_signaling() {
    let mut meeting = Meeting::new(43);
    meeting.command(serve(7, HostRole::Standby, None));
    let ana = meeting.join_refused();
    assert!(ana.contains("epoch 1 is over"), "{ana}");
    assert_eq!(meeting.engine().roster().len(), 1);
    meeting.command(HostCommand::CloseRoom { room: room() });
    assert_eq!(meeting.engine().roster().len(), 0);
    let ben = meeting.join("ben", &[], 1);
    meeting.command(serve(7, HostRole::Draining, None));
    assert_eq!(meeting.engine().roster().len(), 1);
    meeting.leave(ben);
    assert_eq!(meeting.engine().roster().len(), 0, "drained");
}

#[test]
fn the_active_host_reports_everybody_s_line_every_two_seconds() {
    let mut meeting = Meeting::new(44);
    let ana = meeting.join("ana", &[Source::Camera], 1);
    meeting.join("ben", &[], 1);
    meeting.command(serve(2, HostRole::Active, None));
    for frame in 0..130 {
        meeting.publish_frame(ana, 2, frame % 30 == 0, 5);
        meeting.advance(Duration::from_millis(33));
    }
    let reports = meeting.take_messages();
    let lines: Vec<_> = reports
        .into_iter()
        .filter_map(|message| {
            if let HostMessage::Lines { lines, .. } = message {
                Some(lines)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(lines.len(), 2);
    let [ana, ben] = lines[1].as_slice() else {
        panic!("{lines:?}");
    };
    let sent = 5 * 30 * 8 * 1000;
    assert!((sent / 2..2 * sent).contains(&ana.received_bps), "{ana:?}");
    assert_eq!((ana.loss_ppm, ben.received_bps), (0, 0));
}

#[test]
fn whoever_asks_plainly_hears_its_address_and_no_leg_hears_of_it() {
    let mut meeting = Meeting::new(45);
    let mut question = crate::reflect::question([3; 12]);
    meeting.inject(None, 5, &mut question);
    let replies = meeting.take_strays();
    let [(to, reply)] = replies.as_slice() else {
        panic!("{replies:?}");
    };
    assert_eq!(to.port(), 5);
    assert_eq!(crate::reflect::answer(reply), Some(([3; 12], *to)));
    assert_eq!(meeting.stats().unroutable, 0);
}
