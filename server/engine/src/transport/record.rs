//! The outermost layer of DTLS (RFC 6347 section 4.1), as far as it is readable without keys.

/// What a datagram starts with, where that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// A fatal alert before encryption, with its description (RFC 5246 section 7.2).
    FatalAlert(u8),
    /// Application data: SCTP, in this protocol.
    ApplicationData,
}

/// Looks at the first record only.
pub(super) fn parse(datagram: &[u8]) -> Option<Record> {
    const ALERT: u8 = 21;
    const APPLICATION_DATA: u8 = 23;
    const FATAL: u8 = 2;
    match datagram {
        [
            ALERT,
            _,
            _,
            0,
            0,
            _,
            _,
            _,
            _,
            _,
            _,
            0,
            2,
            FATAL,
            description,
            ..,
        ] => Some(Record::FatalAlert(*description)),
        [APPLICATION_DATA, ..] => Some(Record::ApplicationData),
        _ => None,
    }
}
