//! Against another implementation, in both directions.

use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::*;

fn peer(profile: Profile) -> Context {
    let theirs = match profile {
        Profile::Aes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Profile::Aes256Gcm => ProtectionProfile::AeadAes256Gcm,
        Profile::Aes128CmSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    let bytes: Vec<u8> = (1..=46).collect();
    let (key, salt) = bytes.split_at(profile.key_len());
    Context::new(
        key,
        &salt[..profile.salt_len()],
        theirs,
        None,
        None,
        AwsLcRsProvider::new().crypto(),
    )
    .unwrap()
}

/// Indices on both sides of a wrap, some late.
const INDICES: [u64; 7] = [65_530, 65_534, 65_537, 65_535, 65_536, 65_540, 65_539];

#[test]
fn another_implementation_opens_what_was_sealed_here() {
    for profile in Profile::ALL {
        let (outbound, mut peer) = (Outbound::new(&master(profile)), peer(profile));
        for index in INDICES {
            let payload = vec![
                u8::try_from(index % 251).unwrap();
                1 + usize::try_from(index % 1200).unwrap()
            ];
            let opened = peer
                .decrypt_rtp(&seal(&outbound, 0xfeed_f00d, index, &payload))
                .unwrap();
            assert_eq!(opened[12..], payload);
        }
    }
}

#[test]
fn what_another_implementation_sealed_is_opened_here() {
    for profile in Profile::ALL {
        let (inbound, mut peer) = (Inbound::new(&master(profile)), peer(profile));
        let mut stream = InboundStream::new();
        for index in INDICES {
            let mut plain = vec![0x80, 96];
            plain.extend_from_slice(&index.to_be_bytes()[6..]);
            plain.extend_from_slice(&[0, 0, 0, 9, 0xfe, 0xed, 0xf0, 0x0d]);
            plain.extend_from_slice(&[0x5a; 333]);
            let sealed = peer.encrypt_rtp(&plain).unwrap();
            assert_eq!(
                open(&inbound, &mut stream, &sealed),
                Ok((index, vec![0x5a; 333]))
            );
        }
    }
}

#[test]
fn compounds_are_exchanged_with_another_implementation() {
    for profile in Profile::ALL {
        let mut peer = peer(profile);
        let (mut outbound, mut inbound) = (
            Outbound::new(&master(profile)),
            Inbound::new(&master(profile)),
        );
        for sender in [1, 2, 1, 1, 2] {
            let mut sealed = report(sender);
            outbound.seal_rtcp(&mut sealed).unwrap();
            assert_eq!(peer.decrypt_rtcp(&sealed).unwrap()[..], report(sender));
            let mut theirs = peer.encrypt_rtcp(&report(sender)).unwrap();
            assert_eq!(inbound.open_rtcp(&mut theirs), Ok(&report(sender)[..]));
        }
    }
}
