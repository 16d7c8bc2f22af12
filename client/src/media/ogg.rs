//! Ogg (RFC 3533) that holds one stream of Opus (RFC 7845).

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;

use super::{Clip, Codec, Frame, InvalidMedia};

/// Reads the packets of the first stream of a file. A packet that is cut off at the end is left out.
///
/// # Errors
/// When it is not Ogg, or the stream is not Opus, or holds no sound.
pub fn read(file: &Bytes) -> Result<Clip, InvalidMedia> {
    let mut packets = packets(file)?.into_iter();
    let head = packets.next().ok_or(InvalidMedia::CutOff(file.len()))?;
    if !head.starts_with(b"OpusHead") {
        let text = "an Ogg stream that is not Opus".to_owned();
        return Err(InvalidMedia::Unsupported(text));
    }
    let sound = packets.filter(|packet| !packet.is_empty() && !packet.starts_with(b"OpusTags"));
    let mut at = Duration::ZERO;
    let mut frames = Vec::new();
    for packet in sound {
        let frame = Frame {
            at,
            is_key: true,
            data: packet.into(),
        };
        at += duration(&frame.data);
        frames.push(frame);
    }
    Clip::new(Codec::Opus, (0, 0), frames, Some(at))
}

fn packets(file: &[u8]) -> Result<Vec<Vec<u8>>, InvalidMedia> {
    let mut packets = Vec::new();
    let mut unfinished = Vec::new();
    let mut stream = None;
    let mut rest = file;
    while let Some((page, after)) = Page::read(rest) {
        rest = after;
        if *stream.get_or_insert(page.stream) != page.stream {
            continue;
        }
        if !page.is_continued {
            unfinished.clear();
        }
        let mut body = page.body;
        for lacing in page.lacings {
            let Some((piece, next)) = body.split_at_checked(usize::from(*lacing)) else {
                return Ok(packets);
            };
            body = next;
            unfinished.extend_from_slice(piece);
            // A lacing value below 255 ends a packet (RFC 3533 section 5).
            if *lacing < 255 {
                packets.push(std::mem::take(&mut unfinished));
            }
        }
    }
    match stream {
        Some(_) => Ok(packets),
        None => Err(InvalidMedia::Signature("Ogg")),
    }
}

struct Page<'a> {
    stream: [u8; 4],
    is_continued: bool,
    lacings: &'a [u8],
    /// Shorter than the lacings say where the file is cut off.
    body: &'a [u8],
}

impl<'a> Page<'a> {
    fn read(file: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = file.split_first_chunk::<PAGE_HEADER>()?;
        let [b'O', b'g', b'g', b'S', 0, flags, tail @ ..] = header else {
            return None;
        };
        let (_, [s0, s1, s2, s3, _, _, _, _, _, _, _, _, count]) = tail.split_first_chunk::<8>()?
        else {
            return None;
        };
        let (lacings, rest) = rest.split_at_checked(usize::from(*count))?;
        let length: usize = lacings.iter().map(|lacing| usize::from(*lacing)).sum();
        let (body, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let page = Self {
            stream: [*s0, *s1, *s2, *s3],
            is_continued: flags & CONTINUED != 0,
            lacings,
            body,
        };
        Some((page, rest))
    }
}

/// How long the sound of a packet is (RFC 6716 section 3.1).
pub fn duration(packet: &[u8]) -> Duration {
    let Some(toc) = packet.first() else {
        return Duration::ZERO;
    };
    let config = toc >> 3;
    let micros = match config {
        // SILK, hybrid, CELT.
        0..=11 => [10_000, 20_000, 40_000, 60_000].get(usize::from(config % 4)),
        12..=15 => [10_000, 20_000].get(usize::from(config % 2)),
        16.. => [2_500, 5_000, 10_000, 20_000].get(usize::from(config % 4)),
    };
    let frames = match toc & 0b11 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1).map_or(0, |count| count & 0x3f)),
    };
    Duration::from_micros(micros.copied().unwrap_or_default() * frames).min(LONGEST_PACKET)
}

/// Writes packets as they come. A page is written each second of sound; what was written is a whole file after each page.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    stream: u32,
    pages: u32,
    lacings: Vec<u8>,
    body: Vec<u8>,
    /// Position at the end of the last packet, in samples of 48 kHz.
    position: u64,
    /// Position at the end of the last page.
    paged: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the headers. `stream` tells streams of one file apart; any number will do.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(out: W, stream: u32) -> io::Result<Self> {
        let mut writer = Self {
            out,
            stream,
            pages: 0,
            lacings: Vec::new(),
            body: Vec::new(),
            position: 0,
            paged: 0,
        };
        writer.push(HEAD);
        writer.write_page(BEGIN, 0)?;
        let mut tags = b"OpusTags".to_vec();
        tags.extend_from_slice(&u32::from(VENDOR_LENGTH).to_le_bytes());
        tags.extend_from_slice(VENDOR);
        tags.extend_from_slice(&0_u32.to_le_bytes());
        writer.push(&tags);
        writer.write_page(0, 0)?;
        Ok(writer)
    }

    /// Writes one packet that is heard from `time` on, in samples of 48 kHz. Sound that is missing before it leaves a hole,
    /// and times that step back are taken as following each other.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, time: u64, packet: &[u8]) -> io::Result<()> {
        let pieces = packet.len() / 255 + 1;
        if pieces > MOST_LACINGS {
            return Err(io::Error::other("a packet that no page can hold"));
        }
        let has_hole = time > self.position + SECOND / 10;
        let is_full = self.lacings.len() + pieces > MOST_LACINGS;
        // Positions are told per page: sound behind a hole begins a new one.
        if has_hole || is_full || self.position >= self.paged + SECOND {
            self.flush()?;
        }
        let samples = u64::try_from(duration(packet).as_micros()).unwrap_or_default() * 48 / 1000;
        self.position = time.max(self.position) + samples;
        self.push(packet);
        Ok(())
    }

    /// Writes what is waiting.
    ///
    /// # Errors
    /// When writing fails.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.lacings.is_empty() {
            self.write_page(0, self.position)?;
        }
        self.out.flush()
    }

    /// Writes what is waiting, and that nothing follows.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> io::Result<()> {
        self.write_page(END, self.position)?;
        self.out.flush()
    }

    fn push(&mut self, packet: &[u8]) {
        let full = packet.len() / 255;
        self.lacings.extend(std::iter::repeat_n(255, full));
        let last = u8::try_from(packet.len() % 255).expect("a remainder of 255 fits");
        self.lacings.push(last);
        self.body.extend_from_slice(packet);
    }

    fn write_page(&mut self, flags: u8, position: u64) -> io::Result<()> {
        let count = u8::try_from(self.lacings.len()).map_err(io::Error::other)?;
        let mut page = Vec::with_capacity(PAGE_HEADER + self.lacings.len() + self.body.len());
        page.extend_from_slice(b"OggS\0");
        page.push(flags);
        page.extend_from_slice(&position.to_le_bytes());
        page.extend_from_slice(&self.stream.to_le_bytes());
        page.extend_from_slice(&self.pages.to_le_bytes());
        page.extend_from_slice(&[0; 4]);
        page.push(count);
        page.append(&mut self.lacings);
        page.append(&mut self.body);
        let sum = checksum(&page).to_le_bytes();
        if let Some(field) = page.get_mut(CHECKSUM) {
            field.copy_from_slice(&sum);
        }
        self.pages = self.pages.wrapping_add(1);
        self.paged = position;
        self.out.write_all(&page)
    }
}

/// CRC-32 of RFC 3533 section 6: polynomial 0x04c11db7, not reflected, starting at 0.
fn checksum(page: &[u8]) -> u32 {
    page.iter().fold(0, |sum, byte| {
        let sum = sum ^ u32::from(*byte) << 24;
        (0..8).fold(sum, |sum, _| {
            let carry = if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 };
            sum << 1 ^ carry
        })
    })
}

/// Identification header (RFC 7845 section 5.1): version 1, two channels, no pre-skip, 48 kHz, no gain, mapping family 0.
const HEAD: &[u8] = b"OpusHead\x01\x02\0\0\x80\xbb\0\0\0\0\0";
const VENDOR: &[u8] = b"baton";
const VENDOR_LENGTH: u8 = 5;

const PAGE_HEADER: usize = 27;
const CHECKSUM: std::ops::Range<usize> = 22..26;
const MOST_LACINGS: usize = 255;

const CONTINUED: u8 = 1;
const BEGIN: u8 = 2;
const END: u8 = 4;

/// Samples.
const SECOND: u64 = 48_000;

/// RFC 6716 section 3.2.5.
const LONGEST_PACKET: Duration = Duration::from_millis(120);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// CELT, fullband, 20 ms.
    const TOC: u8 = 0xf8;

    fn written(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, 7).unwrap();
        for (time, packet) in (0..).step_by(960).zip(packets) {
            writer.write(time, packet).unwrap();
        }
        writer.finish().unwrap();
        file
    }

    #[test]
    fn a_packet_says_how_long_it_is() {
        let millis = |packet: &[u8]| duration(packet).as_micros();
        assert_eq!(millis(&[TOC]), 20_000);
        assert_eq!(millis(&[0x00]), 10_000);
        assert_eq!(millis(&[0x80]), 2_500);
        assert_eq!(millis(&[0xfb, 3]), 60_000);
        assert_eq!(millis(&[0xfb, 63]), 120_000);
        assert_eq!(millis(&[]), 0);
    }

    #[test]
    fn the_checksum_is_that_of_the_format() {
        // The check value of this CRC for the digits 1 to 9.
        assert_eq!(checksum(b"123456789"), 0x89a1_897f);
    }

    #[test]
    fn a_file_that_ends_anywhere_keeps_the_seconds_before() {
        let file = written(&vec![vec![TOC; 40]; 200]);
        let clip = read(&Bytes::from(file.clone())).unwrap();
        assert_eq!(clip.length(), Duration::from_secs(4));
        let cut = Bytes::from(file).slice(..40 * 120);
        let frames = read(&cut).unwrap().frames().len();
        assert!((100..=120).contains(&frames), "{frames}");
    }

    #[test]
    fn a_hole_in_the_sound_begins_a_page_whose_position_tells_it() {
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file, 7).unwrap();
        writer.write(0, &[TOC]).unwrap();
        writer.write(48_000, &[TOC]).unwrap();
        writer.finish().unwrap();
        let positions: Vec<u64> = file
            .windows(14)
            .filter(|window| window.starts_with(b"OggS\0"))
            .map(|window| u64::from_le_bytes(window[6..14].try_into().unwrap()))
            .collect();
        assert_eq!(positions, [0, 0, 960, 48_960]);
    }

    #[test]
    fn what_is_no_opus_is_refused() {
        let read = |bytes: &[u8]| read(&Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(read(b"RIFF"), InvalidMedia::Signature("Ogg"));
        let mut vorbis = written(&[vec![TOC]]);
        vorbis[28..36].copy_from_slice(b"\x01vorbis.");
        assert!(matches!(read(&vorbis), InvalidMedia::Unsupported(_)));
        assert_eq!(read(&written(&[])), InvalidMedia::Empty);
    }

    proptest! {
        #[test]
        fn packets_of_any_length_come_back(lengths in proptest::collection::vec(1_usize..2000, 1..80)) {
            let packets: Vec<Vec<u8>> = lengths.iter().map(|length| vec![TOC; *length]).collect();
            let clip = read(&written(&packets).into()).unwrap();
            let lengths_back: Vec<usize> = clip.frames().iter().map(|frame| frame.data.len()).collect();
            prop_assert_eq!(lengths_back, lengths);
        }

        #[test]
        fn any_bytes_are_a_clip_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut file = written(&[vec![TOC; 30]]);
            file.truncate(28 + bytes.len());
            file.extend(bytes);
            let _ = read(&file.into());
        }
    }
}
