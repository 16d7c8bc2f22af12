//! Some are served by a participant's computer and some by the server, and all of them see each other.

use std::time::{Duration, Instant};

use baton_client::Call;
use baton_protocol::{HostId, HostKind, ParticipantId};

use crate::hosting::{Watcher, pass_to_computer, until};
use crate::house::{Guest, House, connected};
use crate::media::TestMedia;
use crate::program::Program;

/// Longest time without a picture of somebody, over a change of hosts.
const CHANGE: Duration = Duration::from_millis(1000);

/// The first picture of somebody comes within this time after the other host was chosen.
const SOON: Duration = Duration::from_secs(3);

/// Ana sends and her computer carries; Ben watches and goes where the call goes; Cy sends, watches and uses the server only.
struct Scene {
    house: House,
    ana: ParticipantId,
    ben: Watcher,
    cy: Watcher,
    central: HostId,
    sending: tokio::task::JoinHandle<()>,
    computer: Program,
    media: [TestMedia; 2],
}

impl Scene {
    async fn open() -> Self {
        let house = House::open().await;
        let media = [TestMedia::play(), TestMedia::play()];
        let mut ana = Guest::enter(&house.link, "Ana", media[0].publications.clone());
        ana.until("connected", connected).await;
        let me = ana.call.room().unwrap().me();
        let sending = tokio::spawn(async move { while ana.call.next().await.is_some() {} });
        let ben = Watcher::enter(&house, "Ben").await;
        let mut plan = Guest::plan(&house.link, "Cy", media[1].publications.clone());
        plan.uses_server = true;
        let cy = Watcher::enter_as(plan).await;
        let computer = Program::computer_of_ana(&house.link);
        let central = ben.host();
        Self {
            house,
            ana: me,
            ben,
            cy,
            central,
            sending,
            computer,
            media,
        }
    }

    fn id(&self, call: &Call) -> ParticipantId {
        call.room().unwrap().me()
    }

    /// Both watch for a while.
    async fn watch(&mut self, span: Duration) {
        let end = Instant::now() + span;
        while Instant::now() < end {
            self.ben.watch(Duration::from_millis(10)).await;
            self.cy.watch(Duration::from_millis(10)).await;
        }
    }

    /// Fails unless somebody's pictures came steadily since then.
    fn assert_steady(&self, who: &Watcher, of: ParticipantId, since: Instant, what: &str) {
        let times = who.pictures.iter();
        let times = times.filter(|(at, frame)| *at >= since && frame.participant == Some(of));
        let mut times: Vec<_> = times.map(|(at, _)| *at).collect();
        times.push(Instant::now());
        let mut before = since;
        let mut longest = Duration::ZERO;
        for at in &times {
            longest = longest.max(*at - before);
            before = *at;
        }
        assert!(longest < CHANGE, "{longest:?} without {of} {what}");
        let rate = times.len() as f64 / since.elapsed().as_secs_f64();
        assert!(rate > 15.0, "{rate:.1} pictures a second of {of} {what}");
    }

    fn close(self) {
        self.computer.signal("KILL");
        self.sending.abort();
        for media in &self.media {
            media.playing.iter().for_each(|task| task.abort());
        }
        drop(self.house);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_uses_the_server_and_who_is_on_the_computer_see_each_other_all_the_time() {
    let mut scene = Scene::open().await;
    let (ana, cy) = (scene.ana, scene.id(&scene.cy.guest.call));
    let both = |all: &[&mut Watcher]| {
        let sees = |who: &Watcher, of| who.pictures.iter().any(|(_, f)| f.participant == Some(of));
        sees(all[0], ana) && sees(all[0], cy) && sees(all[1], ana)
    };
    until(&mut [&mut scene.ben, &mut scene.cy], "pictures", both).await;
    let from = Instant::now();
    let to = pass_to_computer(&mut scene.ben).await;
    let moved = |all: &[&mut Watcher]| all.iter().all(|one| one.host() == to);
    until(&mut [&mut scene.ben, &mut scene.cy], "move", moved).await;
    scene.watch(Duration::from_secs(4)).await;
    let hosting = scene.cy.guest.call.hosting().unwrap();
    assert_eq!(
        (hosting.mine, hosting.term.kind),
        (scene.central, HostKind::Participant)
    );
    assert_eq!(scene.ben.guest.call.hosting().unwrap().mine, to);
    scene.assert_steady(&scene.ben, cy, from, "over the move, at the computer");
    scene.assert_steady(&scene.ben, ana, from, "over the move, at the computer");
    scene.assert_steady(&scene.cy, ana, from, "over the move, at the server");

    let from = Instant::now();
    assert!(scene.ben.guest.call.pass_baton(None));
    let back = |all: &[&mut Watcher]| all[0].host() != to;
    until(&mut [&mut scene.ben, &mut scene.cy], "way back", back).await;
    scene.watch(Duration::from_secs(3)).await;
    scene.assert_steady(&scene.ben, cy, from, "over the way back");
    scene.assert_steady(&scene.cy, ana, from, "over the way back, at the server");
    scene.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_changes_to_the_server_and_back_while_a_computer_carries_the_call() {
    let mut scene = Scene::open().await;
    let (ana, cy) = (scene.ana, scene.id(&scene.cy.guest.call));
    scene.cy.guest.call.use_server(false);
    let to = pass_to_computer(&mut scene.ben).await;
    let served = |all: &[&mut Watcher]| {
        let hosting = all.iter().map(|one| one.guest.call.hosting().unwrap());
        hosting.into_iter().all(|hosting| hosting.mine == to)
    };
    until(&mut [&mut scene.ben, &mut scene.cy], "move", served).await;
    scene.watch(Duration::from_secs(2)).await;
    for (uses, name) in [(true, "to the server"), (false, "to the computer")] {
        let from = Instant::now();
        scene.cy.guest.call.use_server(uses);
        let mine = if uses { scene.central } else { to };
        let is_told = |all: &[&mut Watcher]| {
            all[1]
                .guest
                .call
                .hosting()
                .is_some_and(|one| one.mine == mine)
        };
        until(
            &mut [&mut scene.ben, &mut scene.cy],
            "another host",
            is_told,
        )
        .await;
        scene.watch(SOON + Duration::from_secs(2)).await;
        let later = from + SOON;
        scene.assert_steady(&scene.cy, ana, later, name);
        scene.assert_steady(&scene.ben, cy, later, name);
    }
    scene.close();
}
