//! Divides one uplink among all legs of a host: a home line is the bottleneck of everybody behind it at once.
//!
//! Sound first, then equal shares, and what one does not want goes to the others. What nobody wants is everybody's to grow into.

use crate::bitrate::Bitrate;

/// What a leg would use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Rate of what it hears: served before any picture.
    pub(crate) sound: Bitrate,
    /// Rate of everything, sound included.
    pub(crate) wants: Bitrate,
}

/// The share of each claim, in order, into `shares` (cleared first). Their sum is at most `uplink`, unless not even sound fits: that is
/// never taken away.
pub(crate) fn share(uplink: Bitrate, claims: &[Claim], shares: &mut Vec<Bitrate>) {
    shares.clear();
    let sound: u64 = claims
        .iter()
        .map(|claim| claim.sound.0)
        .fold(0, u64::saturating_add);
    let room = uplink.0.saturating_sub(sound);
    let (level, left) = level(room, claims);
    let each = left / u64::try_from(claims.len().max(1)).unwrap_or(u64::MAX);
    shares.extend(claims.iter().map(|claim| {
        let own = pictures(claim).min(level).saturating_add(each);
        Bitrate(claim.sound.0.saturating_add(own))
    }));
}

fn pictures(claim: &Claim) -> u64 {
    claim.wants.0.saturating_sub(claim.sound.0)
}

/// The highest level up to which all claims can be filled, and what is left when all are served.
fn level(room: u64, claims: &[Claim]) -> (u64, u64) {
    let (mut left, mut below) = (room, 0);
    loop {
        // Those that want no more than `below` are served; the others share what is left above it.
        let hungry = claims.iter().filter(|claim| pictures(claim) > below);
        let Some(next) = hungry.clone().map(pictures).min() else {
            return (below, left);
        };
        let count = u64::try_from(hungry.count()).unwrap_or(u64::MAX);
        let step = next - below;
        match step.checked_mul(count).filter(|cost| *cost <= left) {
            Some(cost) => (left, below) = (left - cost, next),
            None => return (below + left / count, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(sound: u64, wants: u64) -> Claim {
        Claim {
            sound: Bitrate::from_kbps(sound),
            wants: Bitrate::from_kbps(wants),
        }
    }

    fn shared(uplink: u64, claims: &[Claim]) -> Vec<u64> {
        let mut shares = Vec::new();
        share(Bitrate::from_kbps(uplink), claims, &mut shares);
        shares.iter().map(|share| share.0 / 1000).collect()
    }

    #[test]
    fn who_wants_little_gets_it_and_the_others_share_the_rest() {
        let claims = [claim(40, 190), claim(40, 2040), claim(40, 5040)];
        assert_eq!(shared(3120, &claims), [190, 1465, 1465]);
        assert_eq!(shared(120, &claims), [40, 40, 40], "sound is all there is");
        assert_eq!(shared(60, &claims), [40, 40, 40], "and stays");
        assert_eq!(shared(9000, &claims), [190 + 576, 2040 + 576, 5040 + 576]);
        assert!(shared(1000, &[]).is_empty());
    }

    proptest! {
        #[test]
        fn shares_fit_and_nobody_gets_less_from_more(
            claims in proptest::collection::vec((0u64..100, 0u64..5000), 0..40),
            uplink in 4000u64..60_000,
            more in 0u64..5000,
        ) {
            let claims: Vec<_> = claims.into_iter().map(|(sound, more)| claim(sound, sound + more)).collect();
            let (before, after) = (shared(uplink, &claims), shared(uplink + more, &claims));
            prop_assert!(before.iter().sum::<u64>() <= uplink);
            for ((before, after), claim) in before.iter().zip(&after).zip(&claims) {
                prop_assert!(before <= after);
                prop_assert!(*before >= claim.sound.0 / 1000);
            }
            let left_over = uplink - before.iter().sum::<u64>();
            prop_assert!(claims.is_empty() || left_over <= claims.len() as u64, "{left_over} unused");
        }
    }
}
