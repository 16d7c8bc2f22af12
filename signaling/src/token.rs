//! Tokens (JWT, RFC 7519): what they must say, how they are signed and checked.
//!
//! The algorithm belongs to the key, never to the token's header. Every claim is typed by Baton's own struct and the
//! times are compared here, because lenient claim parsing has let wrong-typed times pass as absent (CVE-2026-25537).
//! A token's purpose is part of it: one that resumes never joins, one that joins never administers.

use std::fmt::{self, Write};
use std::marker::PhantomData;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use baton_protocol::limits::MAX_NAME;
use baton_protocol::{Grants, HostId, HostTerm, ParticipantId, RoomId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::text::checked_name;

/// `aud` of every token.
pub const AUDIENCE: &str = "baton";

/// Largest token, in bytes.
pub const MAX_TOKEN: usize = 4096;

/// Longest time between `iat` and `exp`.
pub const MAX_TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// How far two clocks may differ, in seconds.
pub(crate) const LEEWAY: u64 = 30;

/// Verifying keys at a time.
const MAX_KEYS: usize = 8;

/// A secret of at least 32 bytes that signs and verifies by HMAC-SHA256. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// What may be signed: one variant per purpose, times in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// Enter a room.
    Join(JoinToken),
    /// Come back to a room. Only the service itself signs these.
    Resume(ResumeToken),
    /// Serve as a host.
    Host(HostToken),
    /// Use the REST interface.
    Admin(AdminToken),
}

/// Lets somebody into one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinToken {
    /// Whose; a second join of the same subject replaces the first.
    pub subject: String,
    /// `jti`.
    pub token_id: Option<String>,
    /// The one room.
    pub room: RoomId,
    /// Wins over the name that is said in `join`.
    pub name: Option<String>,
    /// What they may do.
    pub grants: Grants,
    /// `iat` (and `nbf` of what Baton signs).
    pub issued_at: u64,
    /// `exp`.
    pub expires_at: u64,
}

/// Lets a participant continue after a lost socket, also when the service has forgotten everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeToken {
    /// The one room.
    pub room: RoomId,
    /// Who they were.
    pub participant: ParticipantId,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub grants: Grants,
    /// `sub` of the token they joined with, if any.
    pub subject: Option<String>,
    /// `jti` of the token they joined with, if any.
    pub token_id: Option<String>,
    /// The life of the service that signed it.
    pub life: u64,
    /// Grows with each one given to the participant.
    pub generation: u32,
    /// Who was host.
    pub term: HostTerm,
    /// They never want to be connected to another participant's computer.
    #[serde(default)]
    pub uses_server: bool,
    /// `iat`.
    pub issued_at: u64,
    /// `exp`.
    pub expires_at: u64,
}

/// Lets a process serve as host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostToken {
    /// Which one; a host may take its number again only under the same subject.
    pub subject: String,
    /// Whose computer it is; none: the operator's.
    pub owner: Option<ComputerOwner>,
    /// `iat`.
    pub issued_at: u64,
    /// `exp`.
    pub expires_at: u64,
}

/// A participant whose computer may carry the call of one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputerOwner {
    /// The one room.
    pub room: RoomId,
    /// Who.
    pub participant: ParticipantId,
    /// What people call the computer.
    pub name: String,
}

/// Lets a program use the REST interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminToken {
    /// Which one.
    pub subject: String,
    /// `iat`.
    pub issued_at: u64,
    /// `exp`.
    pub expires_at: u64,
}

/// Why a token is refused. Says nothing that helps to forge one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64url, or too large.
    #[error("this is not a token of at most 4096 bytes")]
    NotAToken,
    /// No key of this service has signed it with the key's own algorithm.
    #[error("no key of this service has signed this token")]
    Signature,
    /// A claim is missing, of the wrong type or out of bounds, or there is a grant nobody knows.
    #[error("a claim of the token is missing, of the wrong type, or not known")]
    Claims,
    /// `aud`.
    #[error("the token is for another audience than \"baton\"")]
    Audience,
    /// `exp`.
    #[error("the token has expired; ask for a new one")]
    Expired,
    /// `nbf` or `iat`.
    #[error("the token is not valid yet; check both clocks")]
    Early,
    /// `exp - iat`.
    #[error("a token lives 24 hours at most")]
    TooLong,
    /// It is for something else.
    #[error("the token serves another purpose")]
    Purpose,
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Too easy to guess.
    #[error("a secret has 32 bytes or more; make one with `openssl rand -base64 32`")]
    ShortSecret,
    /// Not what it should be.
    #[error("this is not an Ed25519 public key in PEM form")]
    NotEd25519,
    /// More than 8.
    #[error("at most 8 keys at a time")]
    TooMany,
}

/// Keys that verify tokens, each bound to one algorithm.
#[derive(Clone, Default)]
pub struct Keys(Vec<VerifyingKey>);

#[derive(Clone)]
struct VerifyingKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The claims as they are written. `Option` is for what one purpose needs and another must not have.
#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    sub: String,
    aud: String,
    iat: u64,
    nbf: u64,
    exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(default, skip_serializing_if = "Purpose::is_join")]
    purpose: Purpose,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    admin: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<RoomId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    participant: Option<ParticipantId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "Object::into_option"
    )]
    grants: Option<Grants>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resume: Option<ResumeToken>,
}

/// Something that is written as a JSON object; serde alone would take an array of the fields as well.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Object<T> {
    fn into_option<D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
        Self::deserialize(from).map(|object| Some(object.0))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }

        from.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Purpose {
    #[default]
    Join,
    Resume,
    Host,
}

impl Purpose {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    fn is_join(&self) -> bool {
        *self == Self::Join
    }
}

impl Secret {
    /// A secret of 32 bytes or more.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, KeyError> {
        let bytes = bytes.into();
        if bytes.len() < 32 {
            return Err(KeyError::ShortSecret);
        }
        Ok(Self(bytes))
    }

    /// For the computer that serves signaling of this room if this service dies. It says nothing about this one.
    pub(crate) fn of_heir(&self, room: &RoomId, heir: HostId) -> Self {
        Self(
            self.seal("heir", &[room.as_str(), &heir.0.to_string()])
                .into_bytes(),
        )
    }

    /// For [`Self::parse`].
    pub(crate) fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }

    /// A secret as a service leaves it to its heir.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Self::new(bytes).ok().filter(|_| text.len() <= MAX_TOKEN)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Proof that this service said `words` for `purpose` (HMAC-SHA256, 64 hex digits). Never equal to the signature of a
    /// token, whose input has no byte 0.
    pub(crate) fn seal(&self, purpose: &str, words: &[&str]) -> String {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &self.0);
        let mut context = aws_lc_rs::hmac::Context::with_key(&key);
        for word in std::iter::once(&purpose).chain(words) {
            context.update(&[0]);
            context.update(&(word.len() as u64).to_be_bytes());
            context.update(word.as_bytes());
        }
        let tag = context.sign();
        let mut text = String::with_capacity(64);
        for byte in tag.as_ref() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Signs `token` (HS256).
    pub fn mint(&self, token: &Token) -> String {
        let key = EncodingKey::from_secret(&self.0);
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &Claims::from(token), &key)
            .expect("claims of plain fields are JSON, and HMAC takes any key")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Keys {
    /// Accepts HS256 tokens signed with `secret`.
    pub fn with_secret(self, secret: &Secret) -> Result<Self, KeyError> {
        self.with(Algorithm::HS256, DecodingKey::from_secret(&secret.0))
    }

    /// Accepts EdDSA tokens whose public key is `pem` (`BEGIN PUBLIC KEY`).
    pub fn with_ed25519_pem(self, pem: &[u8]) -> Result<Self, KeyError> {
        let key = DecodingKey::from_ed_pem(pem).map_err(|_| KeyError::NotEd25519)?;
        self.with(Algorithm::EdDSA, key)
    }

    /// Reads a token and checks everything about it but its purpose.
    pub fn verify(&self, token: &str, now_s: u64) -> Result<Token, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::NotAToken);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::NotAToken)?;
        // RFC 7515 section 4.1.11: what must be understood and is not makes the token invalid.
        if header.crit.is_some() || header.zip.is_some() || header.enc.is_some() {
            return Err(TokenError::NotAToken);
        }
        let mut outcome = TokenError::Signature;
        for key in self.0.iter().filter(|key| key.algorithm == header.alg) {
            match key.claims(token) {
                Ok(claims) => return claims.checked(now_s),
                Err(error) if error != TokenError::Signature => outcome = error,
                Err(_) => {}
            }
        }
        Err(outcome)
    }

    /// These keys and those.
    pub(crate) fn joined(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(&other.0).cloned().collect())
    }

    fn with(mut self, algorithm: Algorithm, key: DecodingKey) -> Result<Self, KeyError> {
        if self.0.len() >= MAX_KEYS {
            return Err(KeyError::TooMany);
        }
        self.0.push(VerifyingKey { algorithm, key });
        Ok(self)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

impl VerifyingKey {
    fn claims(&self, token: &str) -> Result<Claims, TokenError> {
        use jsonwebtoken::errors::ErrorKind;

        let mut validation = Validation::new(self.algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        match jsonwebtoken::decode::<Object<Claims>>(token, &self.key, &validation) {
            Ok(data) => Ok(data.claims.0),
            Err(error) if matches!(error.kind(), ErrorKind::Json(_)) => Err(TokenError::Claims),
            Err(_) => Err(TokenError::Signature),
        }
    }
}

impl Claims {
    fn checked(self, now_s: u64) -> Result<Token, TokenError> {
        if self.aud != AUDIENCE {
            return Err(TokenError::Audience);
        }
        if self.exp.saturating_add(LEEWAY) <= now_s {
            return Err(TokenError::Expired);
        }
        let latest = now_s.saturating_add(LEEWAY);
        if self.nbf > latest || self.iat > latest {
            return Err(TokenError::Early);
        }
        if self.exp <= self.iat || self.exp <= self.nbf {
            return Err(TokenError::Claims);
        }
        if self.exp - self.iat > MAX_TOKEN_LIFE.as_secs() {
            return Err(TokenError::TooLong);
        }
        let is_bounded = |text: &String| !text.is_empty() && text.len() <= MAX_NAME;
        let texts = [Some(&self.sub), self.jti.as_ref(), self.iss.as_ref()];
        if !texts.into_iter().flatten().all(is_bounded) {
            return Err(TokenError::Claims);
        }
        self.into_token()
    }

    /// Exactly the claims of one purpose, or none.
    fn into_token(self) -> Result<Token, TokenError> {
        let (subject, issued_at, expires_at) = (self.sub, self.iat, self.exp);
        if self.participant.is_some() && self.purpose != Purpose::Host {
            return Err(TokenError::Claims);
        }
        match (
            self.purpose,
            self.admin,
            self.room,
            self.grants,
            self.resume,
        ) {
            (Purpose::Join, false, Some(room), Some(mut grants), None) => {
                grants.publish.sort_unstable();
                grants.publish.dedup();
                let name = self.name.map(|name| checked_name(&name));
                Ok(Token::Join(JoinToken {
                    subject,
                    token_id: self.jti,
                    room,
                    name: name.transpose().map_err(|_| TokenError::Claims)?,
                    grants,
                    issued_at,
                    expires_at,
                }))
            }
            (Purpose::Join, true, None, None, None) => Ok(Token::Admin(AdminToken {
                subject,
                issued_at,
                expires_at,
            })),
            (Purpose::Host, false, room, None, None) => Ok(Token::Host(HostToken {
                subject,
                owner: match (room, self.participant, self.name) {
                    (None, None, _) => None,
                    (Some(room), Some(participant), Some(name)) => Some(ComputerOwner {
                        room,
                        participant,
                        name: checked_name(&name).map_err(|_| TokenError::Claims)?,
                    }),
                    _ => return Err(TokenError::Claims),
                },
                issued_at,
                expires_at,
            })),
            (Purpose::Resume, false, None, None, Some(resume))
                if resume.issued_at == issued_at && resume.expires_at == expires_at =>
            {
                Ok(Token::Resume(resume))
            }
            _ => Err(TokenError::Claims),
        }
    }
}

impl From<&Token> for Claims {
    fn from(token: &Token) -> Self {
        let plain = |subject: &str, iat: u64, exp: u64| Self {
            iss: None,
            sub: subject.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat,
            nbf: iat,
            exp,
            jti: None,
            purpose: Purpose::Join,
            admin: false,
            room: None,
            participant: None,
            name: None,
            grants: None,
            resume: None,
        };
        match token {
            Token::Join(join) => Self {
                jti: join.token_id.clone(),
                room: Some(join.room.clone()),
                name: join.name.clone(),
                grants: Some(join.grants.clone()),
                ..plain(&join.subject, join.issued_at, join.expires_at)
            },
            Token::Resume(resume) => Self {
                purpose: Purpose::Resume,
                resume: Some(resume.clone()),
                ..plain("resume", resume.issued_at, resume.expires_at)
            },
            Token::Host(host) => Self {
                purpose: Purpose::Host,
                room: host.owner.as_ref().map(|owner| owner.room.clone()),
                participant: host.owner.as_ref().map(|owner| owner.participant),
                name: host.owner.as_ref().map(|owner| owner.name.clone()),
                ..plain(&host.subject, host.issued_at, host.expires_at)
            },
            Token::Admin(admin) => Self {
                admin: true,
                ..plain(&admin.subject, admin.issued_at, admin.expires_at)
            },
        }
    }
}

#[cfg(test)]
mod tests;
