//! Session descriptions: a bounded reader for offers and a writer for answers.
//!
//! Owns SDP as text (RFC 8866, JSEP RFC 9429) and the candidate lines in it (RFC 8839), read in one pass and believed
//! only within bounds. Does not own what is negotiated underneath (`transport` runs ICE, DTLS and SCTP and tells the
//! answer its parameters), what a codec's payload looks like (`codec`) or what an extension carries (`rtp`).
//!
//! The other side always offers. rtc never sees that offer: it is given the transport parameters found here.

mod answer;
mod builder;
mod candidate;
mod fragment;
mod media;
mod offer;
mod policy;

pub use answer::{AnswerParams, LocalTransport, Slot, answer};
pub use candidate::{
    Candidate, CandidateAddress, CandidateKind, CandidatePolicy, CandidateProtocol,
    host_candidates, passive_candidates, reflexive_candidates, relayed_candidate,
};
pub use fragment::IceFragment;
pub use media::{
    CodecLine, CodecName, Direction, ExtensionLine, Feedback, Fmtp, MediaKind, MediaLine,
    Simulcast, SsrcPair,
};
pub use offer::{
    ChannelLine, Fingerprint, IcePassword, Offer, RemoteTransport, SdpError, SdpProblem, Setup,
};
pub use policy::{EXTENSIONS, is_extension_kept};

#[cfg(test)]
mod tests;
