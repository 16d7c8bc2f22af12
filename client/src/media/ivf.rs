//! IVF: a header of 32 bytes, then per frame a length, a time and the bytes. All numbers are little-endian.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;

use super::{Clip, Codec, Frame, InvalidMedia, is_keyframe, size};

/// Reads a whole file.
///
/// # Errors
/// When it is not IVF, cut off within its first frame, of another codec, or without a keyframe at its start. A last frame
/// that is cut off is left out.
pub fn read(file: &Bytes) -> Result<Clip, InvalidMedia> {
    let header = Header::read(file)?;
    let mut frames = Vec::new();
    let mut at = usize::from(header.length);
    let mut first = None;
    while let Some((length, time)) = frame_header(file, at) {
        at += FRAME_HEADER;
        let Some(data) = at
            .checked_add(length)
            .and_then(|end| file.get(at..end))
            .filter(|data| !data.is_empty())
        else {
            break;
        };
        let start = *first.get_or_insert(time);
        frames.push(Frame {
            at: header.time(time.saturating_sub(start)),
            is_key: is_keyframe(header.codec, data),
            data: file.slice_ref(data),
        });
        at += length;
    }
    frames.sort_by_key(|frame| frame.at);
    let told = frames.first().and_then(|key| size(header.codec, &key.data));
    Clip::new(header.codec, told.unwrap_or(header.size), frames, None)
}

struct Header {
    codec: Codec,
    length: u16,
    size: (u16, u16),
    /// Ticks of the clock in `scale` seconds.
    rate: u32,
    scale: u32,
}

impl Header {
    fn read(file: &[u8]) -> Result<Self, InvalidMedia> {
        if !file.starts_with(SIGNATURE) {
            return Err(InvalidMedia::Signature("IVF"));
        }
        let header = file.first_chunk::<HEADER>();
        let header = header.ok_or(InvalidMedia::CutOff(file.len()))?;
        let [
            _,
            _,
            _,
            _,
            _,
            _,
            l0,
            l1,
            f0,
            f1,
            f2,
            f3,
            w0,
            w1,
            h0,
            h1,
            rest @ ..,
        ] = *header;
        let codec = match [f0, f1, f2, f3] {
            [b'V', b'P', b'8', b'0'] => Codec::Vp8,
            [b'V', b'P', b'9', b'0'] => Codec::Vp9,
            [b'A', b'V', b'0', b'1'] => Codec::Av1,
            other => {
                let name = String::from_utf8_lossy(&other).into_owned();
                return Err(InvalidMedia::Unsupported(format!("the codec {name:?}")));
            }
        };
        let [r0, r1, r2, r3, s0, s1, s2, s3, ..] = rest;
        Ok(Self {
            codec,
            length: u16::from_le_bytes([l0, l1]).max(HEADER_LENGTH),
            size: (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1])),
            rate: u32::from_le_bytes([r0, r1, r2, r3]).max(1),
            scale: u32::from_le_bytes([s0, s1, s2, s3]).max(1),
        })
    }

    fn time(&self, ticks: u64) -> Duration {
        let nanos = u128::from(ticks) * u128::from(self.scale) * 1_000_000_000;
        let nanos = u64::try_from(nanos / u128::from(self.rate)).unwrap_or(u64::MAX);
        Duration::from_nanos(nanos).min(LONGEST)
    }
}

fn frame_header(file: &[u8], at: usize) -> Option<(usize, u64)> {
    let header = file.get(at..)?.first_chunk::<FRAME_HEADER>()?;
    let [l0, l1, l2, l3, time @ ..] = *header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    Some((usize::try_from(length).ok()?, u64::from_le_bytes(time)))
}

/// Writes frames as they come. What was written is a whole file after every frame: the header's count of frames stays 0,
/// as in every stream whose end is not known.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Writes the header. Times are in ticks of 1/90000 s.
    ///
    /// # Errors
    /// When writing fails, or the codec is not one of IVF's.
    pub fn new(mut out: W, codec: Codec, (width, height): (u16, u16)) -> io::Result<Self> {
        let name = match codec {
            Codec::Vp8 => b"VP80",
            Codec::Vp9 => b"VP90",
            Codec::Av1 => b"AV01",
            Codec::Opus | Codec::H264 => {
                return Err(io::Error::other("IVF holds VP8, VP9 and AV1"));
            }
        };
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(SIGNATURE);
        header.extend_from_slice(&0_u16.to_le_bytes());
        header.extend_from_slice(&HEADER_LENGTH.to_le_bytes());
        header.extend_from_slice(name);
        header.extend_from_slice(&width.to_le_bytes());
        header.extend_from_slice(&height.to_le_bytes());
        header.extend_from_slice(&codec.clock_rate().to_le_bytes());
        header.extend_from_slice(&1_u32.to_le_bytes());
        header.extend_from_slice(&[0; 8]);
        out.write_all(&header)?;
        Ok(Self { out })
    }

    /// Writes one frame; `time` is in ticks of the header's clock.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, time: u64, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&time.to_le_bytes())?;
        self.out.write_all(frame)
    }

    /// Gives what was written to the system.
    ///
    /// # Errors
    /// When writing fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

const SIGNATURE: &[u8; 4] = b"DKIF";
const HEADER: usize = 32;
const HEADER_LENGTH: u16 = 32;
const FRAME_HEADER: usize = 12;

/// No clip is longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(frames: &[(u64, Vec<u8>)]) -> Bytes {
        let mut writer = Writer::new(Vec::new(), Codec::Vp8, (640, 360)).unwrap();
        for (time, frame) in frames {
            writer.write(*time, frame).unwrap();
        }
        writer.flush().unwrap();
        writer.out.into()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let file = written(&[(9000, vec![0, 1, 2]), (12_000, vec![1, 2, 3])]);
        let clip = read(&file).unwrap();
        let frame = |millis: f64, is_key, data: &'static [u8]| Frame {
            at: Duration::from_secs_f64(millis / 1000.0),
            is_key,
            data: Bytes::from_static(data),
        };
        assert_eq!(clip.codec(), Codec::Vp8);
        assert_eq!(clip.size(), (640, 360));
        assert_eq!(clip.frames()[0], frame(0.0, true, &[0, 1, 2]));
        assert_eq!(clip.frames()[1].data, frame(0.0, false, &[1, 2, 3]).data);
        assert_eq!(clip.frames()[1].at.as_micros(), 33_333);
        assert_eq!(clip.length().as_micros(), 66_666);
    }

    #[test]
    fn a_file_that_ends_within_a_frame_keeps_those_before() {
        let file = written(&[(0, vec![0; 50]), (3000, vec![1; 50])]);
        let cut = file.slice(..file.len() - 1);
        assert_eq!(read(&cut).unwrap().frames().len(), 1);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        let read = |bytes: &[u8]| read(&Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(read(b"RIFF...."), InvalidMedia::Signature("IVF"));
        assert_eq!(read(b"DKIF..."), InvalidMedia::CutOff(7));
        assert_eq!(read(&written(&[])), InvalidMedia::Empty);
        assert_eq!(read(&written(&[(0, vec![1])])), InvalidMedia::NoKeyframe);
        let mut other = written(&[]).to_vec();
        other[8..12].copy_from_slice(b"H264");
        assert!(matches!(read(&other), InvalidMedia::Unsupported(_)));
    }

    proptest! {
        #[test]
        fn any_bytes_behind_a_signature_are_a_clip_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut file = written(&[]).to_vec();
            file.truncate(20);
            file.extend(bytes);
            let _ = read(&file.into());
        }
    }
}
