//! ICE, DTLS and SCTP of one leg, by the rtc crate; media never passes through here.
