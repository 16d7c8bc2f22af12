//! What makes a packet one of an m-line: payload type, and header extensions that say which stream it is.
//!
//! Pure.

use bytes::Bytes;
use rtc::rtp::header::Header;

use crate::media::{Codec, Frame};
use crate::offer::Section;

/// An m-line that sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    mid: Bytes,
    payload_type: u8,
    mid_id: Option<u8>,
    rid_id: Option<u8>,
    level_id: Option<u8>,
}

impl Line {
    /// The m-line of an own offer with this mid; absent where there is none, or it does not offer the codec.
    pub(crate) fn find(offer: &str, mid: &str, codec: Codec) -> Option<Self> {
        let section = Section::find(offer, mid)?;
        Some(Self {
            mid: Bytes::copy_from_slice(mid.as_bytes()),
            payload_type: section.payload_type(codec)?,
            mid_id: section.extension(MID),
            rid_id: section.extension(RID),
            level_id: section.extension(AUDIO_LEVEL),
        })
    }

    /// Makes a packet one of this line. Every packet says which stream it is (RFC 8852, RFC 9143), since any may be the
    /// first that arrives.
    pub(super) fn label(&self, header: &mut Header, rid: Option<&str>, frame: &Frame) {
        header.payload_type = self.payload_type;
        let rid = rid.map(|rid| Bytes::copy_from_slice(rid.as_bytes()));
        let level = self
            .level_id
            .map(|_| Bytes::copy_from_slice(&[loudness(&frame.data)]));
        let extensions = [
            (self.mid_id, Some(self.mid.clone())),
            (self.rid_id, rid),
            (self.level_id, level),
        ];
        for (id, value) in extensions {
            if let (Some(id), Some(value)) = (id, value)
                && let Err(error) = header.set_extension(id, value)
            {
                tracing::debug!(%error, "a header extension does not fit");
            }
        }
    }
}

/// Level of RFC 6464, guessed from the size: nothing here decodes. An encoder that stopped for silence sends a byte or two.
fn loudness(packet: &[u8]) -> u8 {
    if packet.len() <= 2 {
        SILENCE
    } else {
        VOICE | SPEECH
    }
}

const SILENCE: u8 = 127;
const VOICE: u8 = 0x80;
/// In -dBov.
const SPEECH: u8 = 25;

/// Which m-line a packet belongs to (RFC 9143).
pub(crate) const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";

/// Loudness of a packet (RFC 6464): by it the host finds who speaks.
pub(crate) const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::offer::OFFER;

    fn labelled(mid: &str, codec: Codec, rid: Option<&str>, data: &'static [u8]) -> Header {
        let frame = Frame {
            at: Duration::ZERO,
            is_key: true,
            data: Bytes::from_static(data),
        };
        let mut header = Header::default();
        let line = Line::find(OFFER, mid, codec).unwrap();
        line.label(&mut header, rid, &frame);
        header
    }

    #[test]
    fn a_packet_says_line_and_layer_by_the_offer_s_numbers() {
        let header = labelled("1", Codec::Vp8, Some("q"), &[0; 9]);
        assert_eq!(header.payload_type, 96);
        assert_eq!(header.get_extension(4).as_deref(), Some(&b"1"[..]));
        assert_eq!(header.get_extension(5).as_deref(), Some(&b"q"[..]));
        assert_eq!(header.get_extension(3), None);
    }

    #[test]
    fn sound_says_how_loud_it_is() {
        let level = |data| labelled("0", Codec::Opus, None, data).get_extension(3);
        assert_eq!(level(&[0xf8]).unwrap()[0], 127);
        assert_eq!(level(&[0xf8; 60]).unwrap()[0], 0x80 | 25);
    }

    #[test]
    fn a_line_that_is_not_there_or_has_another_codec_is_none() {
        assert_eq!(Line::find(OFFER, "2", Codec::Vp8), None);
        assert_eq!(Line::find(OFFER, "1", Codec::Av1), None);
    }
}
