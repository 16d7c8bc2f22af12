use baton_protocol::{Epoch, HostId, LegId, ParticipantId};

use super::*;

const NOW: u64 = 1_800_000_000;

fn signer(byte: u8) -> GrantSigner {
    GrantSigner::new(&Secret::new([byte; 32]).expect("32 bytes"))
}

fn verifier(byte: u8) -> GrantVerifier {
    GrantVerifier::new(signer(byte).public_key()).expect("a key")
}

fn fingerprint() -> String {
    vec!["0A"; 32].join(":")
}

fn grant() -> GrantClaims {
    GrantClaims {
        room: "tea".parse().expect("a room name"),
        epoch: Epoch(4),
        host: HostId(7),
        fingerprint: fingerprint(),
        standby: None,
        iat: NOW,
        exp: NOW + 60,
    }
}

fn ticket() -> TicketClaims {
    TicketClaims {
        room: "tea".parse().expect("a room name"),
        epoch: Epoch(4),
        sub: ParticipantId(9),
        leg: LegId(2),
        cnf: fingerprint(),
        aud: fingerprint(),
        jti: 17,
        exp: NOW + 60,
        iat: NOW,
    }
}

#[test]
fn what_the_service_signed_is_read_and_nothing_else() {
    let signed = signer(1).grant(&grant());
    assert_eq!(verifier(1).grant(&signed, NOW), Ok(grant()));
    assert_eq!(
        verifier(2).grant(&signed, NOW),
        Err(TokenError::Signature),
        "another service's"
    );
    let (head, signature) = signed.rsplit_once('.').expect("three parts");
    let (header, _) = head.split_once('.').expect("three parts");
    let forged = GrantClaims {
        host: HostId(8),
        ..grant()
    };
    let forged = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&forged).expect("plain data"));
    let forged = format!("{header}.{forged}.{signature}");
    assert_eq!(
        verifier(1).grant(&forged, NOW),
        Err(TokenError::Signature),
        "a changed claim"
    );
    assert_eq!(verifier(1).grant("a.b.c", NOW), Err(TokenError::NotAToken));
}

#[test]
fn a_ticket_is_no_grant() {
    let signed = signer(1).ticket(&ticket());
    assert_eq!(verifier(1).ticket(&signed, NOW), Ok(ticket()));
    assert_eq!(verifier(1).grant(&signed, NOW), Err(TokenError::Purpose));
}

#[test]
fn a_key_signed_by_a_shared_secret_is_not_taken() {
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some(GRANT.to_owned());
    let key = EncodingKey::from_secret(signer(1).public_key().as_bytes());
    let signed = jsonwebtoken::encode(&header, &grant(), &key).expect("signed");
    assert_eq!(verifier(1).grant(&signed, NOW), Err(TokenError::Signature));
}

#[test]
fn times_count_with_half_a_minute_of_leeway() {
    let signed = signer(1).ticket(&ticket());
    assert!(verifier(1).ticket(&signed, NOW + 89).is_ok());
    assert_eq!(
        verifier(1).ticket(&signed, NOW + 90),
        Err(TokenError::Expired)
    );
    assert_eq!(
        verifier(1).ticket(&signed, NOW - 31),
        Err(TokenError::Early)
    );
}

#[test]
fn the_key_is_that_of_the_secret_in_every_life() {
    assert_eq!(signer(1).public_key(), signer(1).public_key());
    assert_ne!(signer(1).public_key(), signer(2).public_key());
    assert_eq!(signer(1).public_key().len(), 43);
    assert!(GrantVerifier::new("short").is_err());
}

#[test]
fn fingerprints_are_written_one_way() {
    assert!(is_fingerprint(&fingerprint()));
    for wrong in [
        "",
        "0A:0B",
        &fingerprint().to_lowercase(),
        &fingerprint().replace(':', "-"),
        &format!("{}:0A", fingerprint()),
    ] {
        assert!(!is_fingerprint(wrong), "{wrong}");
    }
}
