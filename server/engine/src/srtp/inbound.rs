//! Opening what a leg receives.
//!
//! Owns the keys and the replay windows of RTCP. Does not own those of RTP: there the caller knows the streams.

use super::cipher::Cipher;
use super::keys::{Purpose, SessionKeys};
use super::replay::ReplayWindow;
use super::{InboundStream, MasterKey, Profile};

/// RTCP senders of one leg whose indices are remembered: as many as a leg may have SSRCs.
const MAX_RTCP_SENDERS: usize = 64;

/// Why a packet was not opened. None of these says anything about the peer: anyone may have sent it. Count and forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OpenError {
    /// Too short for its header and a tag.
    #[error("shorter than its header and tag")]
    Short,
    /// The payload does not fit the output.
    #[error("longer than the slot it was to be opened into")]
    TooLong,
    /// Was received before.
    #[error("received before")]
    Replayed,
    /// So far behind the newest that a replay could not be told, or outside all indices.
    #[error("too far behind the newest packet of its stream")]
    TooOld,
    /// The tag is not the sender's.
    #[error("not from the holder of the key, or damaged on the way")]
    Forged,
}

/// A genuine RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Bytes of payload in the output; RTP padding, if the header's P bit is set, is still among them.
    pub payload_len: usize,
    /// Roll-over counter << 16 | sequence number.
    pub index: u64,
}

/// The receiving direction of a leg.
pub struct Inbound {
    profile: Profile,
    rtp: Cipher,
    rtcp: Cipher,
    rtcp_senders: RtcpSenders,
}

impl Inbound {
    /// Derives the session keys of one direction.
    pub fn new(master: &MasterKey) -> Self {
        Self {
            profile: master.profile(),
            rtp: Cipher::new(&SessionKeys::derive(master, Purpose::Rtp)),
            rtcp: Cipher::new(&SessionKeys::derive(master, Purpose::Rtcp)),
            rtcp_senders: RtcpSenders::default(),
        }
    }

    /// How this leg's media is protected.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Opens one RTP packet out of place. `stream` is the receiver's state for `ssrc`; `header_len`, `seq` and `ssrc` are
    /// what parsing `packet` gave. The payload is written to the start of `out`.
    ///
    /// # Errors
    /// The stream is then as it was, and `out` holds nothing of use. Of a stream that was unknown so far, the caller
    /// keeps the state only if this succeeds: anyone can invent an SSRC.
    pub fn open_rtp(
        &self,
        stream: &mut InboundStream,
        packet: &[u8],
        header_len: usize,
        seq: u16,
        ssrc: u32,
        out: &mut [u8],
    ) -> Result<Opened, OpenError> {
        let index = stream.estimate(seq)?;
        stream.check(index)?;
        let payload_len = self.rtp.open_rtp(packet, header_len, ssrc, index, out)?;
        stream.accept(index);
        Ok(Opened { payload_len, index })
    }

    /// Opens one RTCP compound in place and returns it without tag and index.
    ///
    /// # Errors
    /// The bytes may then be scrambled.
    pub fn open_rtcp<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a [u8], OpenError> {
        let (ssrc, index) = self.rtcp.peek_rtcp(packet)?;
        self.rtcp_senders.check(ssrc, index)?;
        let len = self.rtcp.open_rtcp(packet, ssrc, index)?;
        self.rtcp_senders.accept(ssrc, index);
        packet.get(..len).ok_or(OpenError::Short)
    }
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// The replay windows of RTCP: each sender SSRC counts its own indices (RFC 3711 section 3.2.1). The one that was
/// silent the longest is forgotten first, and only the key's holder can bring that about, by using ever more SSRCs.
#[derive(Default)]
struct RtcpSenders {
    /// Ordered by when they were last heard.
    windows: Vec<(u32, ReplayWindow<4>)>,
}

impl RtcpSenders {
    fn check(&self, ssrc: u32, index: u32) -> Result<(), OpenError> {
        match self.windows.iter().find(|(known, _)| *known == ssrc) {
            Some((_, window)) => window.check(index.into()),
            None => Ok(()),
        }
    }

    fn accept(&mut self, ssrc: u32, index: u32) {
        let mut window = match self.windows.iter().position(|(known, _)| *known == ssrc) {
            Some(at) => self.windows.remove(at).1,
            None => ReplayWindow::default(),
        };
        window.accept(index.into());
        if self.windows.len() >= MAX_RTCP_SENDERS {
            self.windows.remove(0);
        }
        self.windows.push((ssrc, window));
    }
}
