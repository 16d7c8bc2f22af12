use super::*;
use crate::srtp::tests::hex;

const RTP: &str = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";
const RTCP: &str = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
const SSRC: u32 = 0x5501_a0b2;
const INDEX: u64 = 0xf17b;

/// A cipher with the session keys that RFC 7714 sections 16 and 17 state.
fn quid_pro_quo(profile: Profile) -> Cipher {
    let mut keys = SessionKeys {
        profile,
        key: [0; 32],
        mac: [0; 20],
        salt: [0; 14],
    };
    for (byte, value) in keys.key.iter_mut().zip(0..) {
        *byte = value;
    }
    keys.salt[..12].copy_from_slice(b"Quid pro quo");
    Cipher::new(&keys)
}

fn assert_rtp(profile: Profile, sealed: &str) {
    let cipher = quid_pro_quo(profile);
    let (plain, sealed) = (hex(RTP), hex(sealed));
    for prefix_len in [0, 4, 10, 38] {
        let mut out = plain[..12 + prefix_len].to_vec();
        out.resize(100, 0);
        let parts = Plain {
            header_len: 12,
            prefix_len,
            rest: &plain[12 + prefix_len..],
            padding: &[],
        };
        let len = cipher.seal_rtp(&mut out, &parts, SSRC, INDEX).unwrap();
        assert_eq!(out[..len], sealed, "{prefix_len} bytes of prefix");
    }
    let mut out = [0; 38];
    assert_eq!(cipher.open_rtp(&sealed, 12, SSRC, INDEX, &mut out), Ok(38));
    assert_eq!(out[..], plain[12..]);
}

fn assert_rtcp(profile: Profile, sealed: &str) {
    let cipher = quid_pro_quo(profile);
    let mut compound = hex(RTCP);
    cipher.seal_rtcp(&mut compound, 0x5d4).unwrap();
    assert_eq!(compound, hex(sealed));
    assert_eq!(cipher.peek_rtcp(&compound), Ok((0x4d61_7273, 0x5d4)));
    let len = cipher.open_rtcp(&mut compound, 0x4d61_7273, 0x5d4).unwrap();
    assert_eq!(compound[..len], hex(RTCP));
}

#[test]
fn rfc_7714_section_16_1_is_reproduced() {
    assert_rtp(
        Profile::Aes128Gcm,
        "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833\
         899d7f27beb16a9152cf765ee4390cce",
    );
}

#[test]
fn rfc_7714_section_16_2_is_reproduced() {
    assert_rtp(
        Profile::Aes256Gcm,
        "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b\
         7aa3db36dfffd6b0f9bb7878d7a76c13",
    );
}

#[test]
fn rfc_7714_section_17_1_is_reproduced() {
    assert_rtcp(
        Profile::Aes128Gcm,
        "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9\
         275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
    );
}

#[test]
fn rfc_7714_section_17_2_is_reproduced() {
    assert_rtcp(
        Profile::Aes256Gcm,
        "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b\
         6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
    );
}

#[test]
fn a_compound_that_is_tagged_but_not_encrypted_is_refused() {
    // RFC 7714 section 17.3: genuine, but no peer of ours may send it.
    let sealed = hex(
        "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef\
         841dd9683dd78ec92ae58790125f62b3000005d4",
    );
    assert_eq!(
        quid_pro_quo(Profile::Aes128Gcm).peek_rtcp(&sealed),
        Err(OpenError::Forged)
    );
}

#[test]
fn rfc_3711_appendix_b_2_is_reproduced() {
    let mut keys = SessionKeys {
        profile: Profile::Aes128CmSha1_80,
        key: [0; 32],
        mac: [0; 20],
        salt: [0; 14],
    };
    keys.key[..16].copy_from_slice(&hex("2b7e151628aed2a6abf7158809cf4f3c"));
    keys.salt
        .copy_from_slice(&hex("f0f1f2f3f4f5f6f7f8f9fafbfcfd"));
    let Cipher::CmSha1(cm) = Cipher::new(&keys) else {
        panic!("the profile is counter mode")
    };
    let mut keystream = [0; 48];
    cm.apply_keystream(0, 0, &mut keystream).unwrap();
    assert_eq!(
        keystream[..],
        hex(
            "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0"
        )
    );
}
