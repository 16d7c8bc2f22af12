//! Grants and tickets: what signaling signs (JWT, EdDSA), so that a guest need not take a host's word for being the host,
//! nor a participant's computer a stranger's word for being a guest.
//!
//! Owns the key and the two formats. Whether a claim fits the moment (epoch, room, fingerprint, used before) is for the
//! one who asks: here only signature, type and times are checked.

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use baton_protocol::{GrantClaims, TicketClaims};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::token::{KeyError, LEEWAY, MAX_TOKEN, Secret, TokenError};

/// `typ` of a grant.
const GRANT: &str = "baton-grant+jwt";

/// `typ` of a ticket.
const TICKET: &str = "baton-ticket+jwt";

/// Bytes of an Ed25519 seed (RFC 8032 section 5.1.5).
const SEED: usize = 32;

/// Signs. The key follows from the service's secret, so a restarted service goes on with the same one.
#[derive(Clone)]
pub struct GrantSigner {
    key: EncodingKey,
    public: String,
}

/// Verifies what one service has signed.
#[derive(Clone)]
pub struct GrantVerifier(DecodingKey);

struct SeedLen;

impl KeyType for SeedLen {
    fn len(&self) -> usize {
        SEED
    }
}

impl GrantSigner {
    /// The signer of the service with this secret (HKDF-SHA256, RFC 5869).
    pub fn new(secret: &Secret) -> Self {
        let mut seed = [0; SEED];
        Salt::new(HKDF_SHA256, b"baton")
            .extract(secret.bytes())
            .expand(&[b"grants and tickets, ed25519"], SeedLen)
            .and_then(|okm| okm.fill(&mut seed))
            .expect("32 bytes are within the bound of HKDF");
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed");
        let private = pair.to_pkcs8v1().expect("a key that was just made");
        Self {
            key: EncodingKey::from_ed_der(private.as_ref()),
            public: URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
        }
    }

    /// What verifies: 32 bytes, base64url without padding.
    pub fn public_key(&self) -> &str {
        &self.public
    }

    /// Signs a grant.
    pub fn grant(&self, claims: &GrantClaims) -> String {
        self.sign(GRANT, claims)
    }

    /// Signs a ticket.
    pub fn ticket(&self, claims: &TicketClaims) -> String {
        self.sign(TICKET, claims)
    }

    fn sign<T: Serialize>(&self, kind: &str, claims: &T) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(kind.to_owned());
        jsonwebtoken::encode(&header, claims, &self.key)
            .expect("claims of plain fields are JSON, and the key is Ed25519")
    }
}

impl fmt::Debug for GrantSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantSigner({})", self.public)
    }
}

impl GrantVerifier {
    /// By a public key as [`GrantSigner::public_key`] tells it.
    pub fn new(public_key: &str) -> Result<Self, KeyError> {
        let bytes = URL_SAFE_NO_PAD.decode(public_key);
        if bytes.is_ok_and(|bytes| bytes.len() == SEED) {
            let key = DecodingKey::from_ed_components(public_key);
            return key.map(Self).map_err(|_| KeyError::NotEd25519);
        }
        Err(KeyError::NotEd25519)
    }

    /// Reads a grant that may be used to begin at `now_s` (seconds since 1970).
    pub fn grant(&self, token: &str, now_s: u64) -> Result<GrantClaims, TokenError> {
        let claims: GrantClaims = self.read(GRANT, token)?;
        check_times(claims.iat, claims.exp, now_s)?;
        Ok(claims)
    }

    /// Reads a ticket that is good at `now_s` (seconds since 1970).
    pub fn ticket(&self, token: &str, now_s: u64) -> Result<TicketClaims, TokenError> {
        let claims: TicketClaims = self.read(TICKET, token)?;
        check_times(claims.iat, claims.exp, now_s)?;
        Ok(claims)
    }

    fn read<T: DeserializeOwned>(&self, kind: &str, token: &str) -> Result<T, TokenError> {
        use jsonwebtoken::errors::ErrorKind;

        if token.len() > MAX_TOKEN {
            return Err(TokenError::NotAToken);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::NotAToken)?;
        if header.crit.is_some() || header.zip.is_some() || header.enc.is_some() {
            return Err(TokenError::NotAToken);
        }
        if header.typ.as_deref() != Some(kind) {
            return Err(TokenError::Purpose);
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        match jsonwebtoken::decode::<T>(token, &self.0, &validation) {
            Ok(data) => Ok(data.claims),
            Err(error) if matches!(error.kind(), ErrorKind::Json(_)) => Err(TokenError::Claims),
            Err(_) => Err(TokenError::Signature),
        }
    }
}

impl fmt::Debug for GrantVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrantVerifier(..)")
    }
}

/// Is it written as in `a=fingerprint` of SHA-256 (RFC 8122): 32 pairs of capital hex digits with colons between?
pub fn is_fingerprint(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
    let fits = |(index, byte): (usize, u8)| match index % 3 {
        2 => byte == b':',
        _ => is_hex(byte),
    };
    text.len() == 95 && text.bytes().enumerate().all(fits)
}

fn check_times(iat: u64, exp: u64, now_s: u64) -> Result<(), TokenError> {
    if exp.saturating_add(LEEWAY) <= now_s {
        return Err(TokenError::Expired);
    }
    if iat > now_s.saturating_add(LEEWAY) {
        return Err(TokenError::Early);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
