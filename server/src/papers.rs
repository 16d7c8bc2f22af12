//! Reads what signaling signed: grants, by which a computer carries a room, and tickets, by which guests come to it.
//!
//! Pure: the time is an argument. Who is let in because of them is decided by the host.

use baton_protocol::{GrantClaims, TicketClaims};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::de::DeserializeOwned;

/// Signaling's clock and this computer's may differ by so much, in seconds.
const LEEWAY: u64 = 30;

/// Longest life of a ticket, in seconds: what claims more was not made by the rules.
const TICKET_LIFE: u64 = 60;

/// The key by which signaling signs.
#[derive(Clone)]
pub struct SigningKey(DecodingKey);

/// Why a paper is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbelievable {
    /// Its signature is another's, or it is no paper at all.
    #[error("it is not signed by this call's signaling")]
    Forged,
    /// A grant is no ticket.
    #[error("it is a paper of another kind")]
    Kind,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// It begins after its end, or lives too long.
    #[error("its dates make no sense")]
    Dates,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// From the 32 bytes in base64url that signaling tells.
    pub fn parse(text: &str) -> Option<Self> {
        DecodingKey::from_ed_components(text).ok().map(Self)
    }

    /// The claims of a grant, if they are signed; whether it is in time matters only where something begins.
    ///
    /// # Errors
    /// If it was not signed with this key, or is no grant.
    pub fn grant(&self, token: &str) -> Result<GrantClaims, Unbelievable> {
        self.claims(token, "baton-grant+jwt")
    }

    /// The claims of a ticket that is good at `unix_s`.
    pub(crate) fn ticket(&self, token: &str, unix_s: u64) -> Result<TicketClaims, Unbelievable> {
        let claims: TicketClaims = self.claims(token, "baton-ticket+jwt")?;
        in_time(claims.iat, claims.exp, unix_s)?;
        if claims.exp - claims.iat > TICKET_LIFE {
            return Err(Unbelievable::Dates);
        }
        Ok(claims)
    }

    fn claims<T: DeserializeOwned>(&self, token: &str, kind: &str) -> Result<T, Unbelievable> {
        let header = decode_header(token).map_err(|_| Unbelievable::Forged)?;
        if header.typ.as_deref() != Some(kind) {
            return Err(Unbelievable::Kind);
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        // Times and audience are compared by the caller, who has the clock and the fingerprint.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let decoded = decode::<T>(token, &self.0, &validation);
        Ok(decoded.map_err(|_| Unbelievable::Forged)?.claims)
    }
}

/// Has it begun, and is it not over?
pub(crate) fn in_time(iat: u64, exp: u64, unix_s: u64) -> Result<(), Unbelievable> {
    if iat >= exp || iat > unix_s.saturating_add(LEEWAY) {
        return Err(Unbelievable::Dates);
    }
    if unix_s > exp.saturating_add(LEEWAY) {
        return Err(Unbelievable::Expired);
    }
    Ok(())
}
