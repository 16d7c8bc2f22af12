//! What an own offer says about one m-line: payload types and numbers of header extensions.
//!
//! Pure. The offer is read rather than the connection asked, because what was written there is what holds.

use baton_server::Origin;
use rtc::rtp::header::Header;

use crate::media::Codec;

/// One m-line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Section {
    formats: Vec<(u8, Codec)>,
    extensions: Vec<(u8, String)>,
}

impl Section {
    /// The m-line with this mid.
    pub(crate) fn find(offer: &str, mid: &str) -> Option<Self> {
        let section = offer.split("\nm=").skip(1).find(|section| {
            let mut mids = values(section, "a=mid:");
            mids.any(|known| known == mid)
        })?;
        let order = section.lines().next()?.split(' ').skip(3);
        let formats = order.filter_map(|format| {
            let mut maps = values(section, "a=rtpmap:").filter_map(|value| value.split_once(' '));
            let (_, name) = maps.find(|(number, _)| *number == format)?;
            Some((format.parse().ok()?, codec(name)?))
        });
        let extensions = values(section, "a=extmap:").filter_map(|value| {
            let (id, uri) = value.split_once(' ')?;
            let id = id.split('/').next()?.parse().ok()?;
            Some((id, uri.split(' ').next()?.to_owned()))
        });
        Some(Self {
            formats: formats.collect(),
            extensions: extensions.collect(),
        })
    }

    /// What a payload type means.
    pub(crate) fn codec(&self, payload_type: u8) -> Option<Codec> {
        let mut formats = self.formats.iter();
        let found = formats.find(|(known, _)| *known == payload_type);
        found.map(|(_, codec)| *codec)
    }

    /// The payload type that is offered first for a codec.
    pub(crate) fn payload_type(&self, codec: Codec) -> Option<u8> {
        let mut formats = self.formats.iter();
        let found = formats.find(|(_, known)| *known == codec);
        found.map(|(payload_type, _)| *payload_type)
    }

    /// What a received packet was before its host numbered it, if that says so.
    pub(crate) fn origin(&self, header: &Header) -> Option<Origin> {
        Origin::from_wire(&header.get_extension(self.extension(ORIGIN)?)?)
    }

    /// Number of a header extension.
    pub(crate) fn extension(&self, uri: &str) -> Option<u8> {
        let mut extensions = self.extensions.iter();
        let found = extensions.find(|(_, known)| known == uri);
        found.map(|(id, _)| *id)
    }
}

/// Says which packet of its publisher it is: Baton's own.
pub(crate) const ORIGIN: &str = "urn:x-baton:rtp-hdrext:origin";

fn values<'a>(section: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    section
        .lines()
        .filter_map(move |line| line.trim_end().strip_prefix(name))
}

/// The codec of `VP8/90000`.
fn codec(rtpmap: &str) -> Option<Codec> {
    let (name, _) = rtpmap.split_once('/')?;
    let all = [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1];
    all.into_iter().find(|codec| {
        let (_, known) = codec
            .mime_type()
            .split_once('/')
            .expect("a media type has two parts");
        known.eq_ignore_ascii_case(name)
    })
}

#[cfg(test)]
pub(crate) const OFFER: &str = "v=0\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
    a=rtpmap:111 opus/48000/2\r\na=extmap:3 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 97 96 98\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n\
    a=rtpmap:97 rtx/90000\r\na=rtpmap:98 VP9/90000\r\na=extmap:4/sendonly urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
    a=extmap:5 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_m_line_is_found_by_its_mid_and_read_alone() {
        let audio = Section::find(OFFER, "0").unwrap();
        assert_eq!(audio.payload_type(Codec::Opus), Some(111));
        assert_eq!(audio.payload_type(Codec::Vp8), None);
        let video = Section::find(OFFER, "1").unwrap();
        assert_eq!(video.codec(98), Some(Codec::Vp9));
        assert_eq!(video.codec(97), None);
        let mid = "urn:ietf:params:rtp-hdrext:sdes:mid";
        assert_eq!(video.extension(mid), Some(4));
        assert_eq!(audio.extension(mid), None);
        assert_eq!(Section::find(OFFER, "2"), None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "(m=|a=mid:0|a=rtpmap:|a=extmap:|[0-9 /]|\r\n|\\PC){0,60}") {
            let _ = Section::find(&text, "0");
        }
    }
}
