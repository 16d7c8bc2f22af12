//! The clock of what is sent: frames leave when they are due.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Feed, Player};
use crate::media::Clip;

/// Plays a clip per layer until it is dropped, all on one clock. A layer of which a keyframe is asked sends one at once.
pub async fn play(mut feed: Feed, clips: Vec<Clip>) {
    let mut players: Vec<Player> = clips.into_iter().map(Player::new).collect();
    let start = Instant::now();
    loop {
        let first = players.iter_mut().enumerate();
        let Some((layer, player)) = first.min_by_key(|(_, player)| player.due()) else {
            return;
        };
        let due = start + player.due();
        tokio::select! {
            asked = feed.keyframe_request() => {
                if let Some(player) = players.get_mut(asked) {
                    player.jump_to_keyframe();
                }
            }
            () = sleep_until(due) => {
                let now = start.elapsed();
                if now > player.due() + LATE {
                    // The computer slept. A burst of all that was missed would help nobody.
                    for player in &mut players {
                        player.skip_to(now);
                    }
                    continue;
                }
                let at = player.due();
                let frame = player.take();
                feed.send(layer, &frame, at).await;
            }
        }
    }
}

/// A delay after which frames are left out.
const LATE: Duration = Duration::from_secs(1);
