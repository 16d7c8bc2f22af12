use super::*;
use crate::srtp::tests::hex;

#[test]
fn rfc_3711_appendix_b_3_is_reproduced() {
    let master = MasterKey::new(
        Profile::Aes128CmSha1_80,
        &hex("e1f97a0d3e018be0d64fa32c06de4139"),
        &hex("0ec675ad498afeebb6960b3aabe6"),
    )
    .unwrap();
    let keys = SessionKeys::derive(&master, Purpose::Rtp);
    assert_eq!(keys.key[..16], hex("c61e7a93744f39ee10734afe3ff7a087"));
    assert_eq!(keys.salt[..], hex("30cbbc08863d8c85d49db34a9ae1"));
    assert_eq!(
        keys.mac[..],
        hex("cebe321f6ff7716b6fd4ab49af256a156d38baa4")
    );
}

#[test]
fn rfc_6188_section_7_3_is_reproduced() {
    let mut master = MasterKey::new(
        Profile::Aes256Gcm,
        &hex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6"),
        &[0; 12],
    )
    .unwrap();
    // The vector's salt has 112 bits, which no profile here combines with AES-256.
    master
        .salt
        .copy_from_slice(&hex("3b04803de51ee7c96423ab5b78d2"));
    let (mut key, mut mac, mut salt) = ([0; 32], [0; 20], [0; 14]);
    master.derive(0, &mut key);
    master.derive(1, &mut mac);
    master.derive(2, &mut salt);
    assert_eq!(
        key[..],
        hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4")
    );
    assert_eq!(mac[..], hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"));
    assert_eq!(salt[..], hex("fa31791685ca444a9e07c6c64e93"));
}

#[test]
fn a_key_of_the_wrong_length_is_named_in_the_error() {
    let error = MasterKey::new(Profile::Aes128Gcm, &[1; 16], &[2; 14]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "AEAD_AES_128_GCM takes a master key of 16 bytes and a salt of 12, not 16 and 14: check what DTLS negotiated"
    );
    assert!(MasterKey::new(Profile::Aes256Gcm, &[1; 16], &[2; 12]).is_err());
}

#[test]
fn key_material_is_not_printed() {
    let master = MasterKey::new(Profile::Aes128Gcm, &[0xab; 16], &[0xab; 12]).unwrap();
    let printed = format!("{master:?}");
    assert!(
        !printed.contains("171") && !printed.to_lowercase().contains("ab,"),
        "{printed}"
    );
}
