//! One track's file, in the container that its codec has.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::assembly::Received;
use crate::media::{Codec, ivf, ogg, size};

#[derive(Debug)]
pub(super) enum TrackFile {
    Ivf(ivf::Writer<BufWriter<File>>),
    Ogg(ogg::Writer<BufWriter<File>>),
    AnnexB(BufWriter<File>),
}

impl TrackFile {
    /// Makes a file for what begins with `frame`, beside those that are there already.
    pub(super) fn create(
        folder: &Path,
        stem: &str,
        frame: &Received,
    ) -> io::Result<(PathBuf, Self)> {
        let extension = match frame.codec {
            Codec::Opus => "ogg",
            Codec::H264 => "h264",
            Codec::Vp8 | Codec::Vp9 | Codec::Av1 => "ivf",
        };
        let (path, file) = create_new(folder, stem, extension)?;
        let out = BufWriter::new(file);
        let file = match frame.codec {
            Codec::Opus => Self::Ogg(ogg::Writer::new(out, frame.timestamp)?),
            Codec::H264 => Self::AnnexB(out),
            codec @ (Codec::Vp8 | Codec::Vp9 | Codec::Av1) => {
                let size = size(codec, &frame.data).unwrap_or_default();
                Self::Ivf(ivf::Writer::new(out, codec, size)?)
            }
        };
        Ok((path, file))
    }

    /// Writes a frame; `time` is in ticks of its codec's clock.
    pub(super) fn write(&mut self, time: u64, frame: &[u8]) -> io::Result<()> {
        match self {
            Self::Ivf(writer) => writer.write(time, frame),
            Self::Ogg(writer) => writer.write(time, frame),
            Self::AnnexB(out) => out.write_all(frame),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Ivf(writer) => writer.flush(),
            Self::Ogg(writer) => writer.flush(),
            Self::AnnexB(out) => out.flush(),
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Ivf(mut writer) => writer.flush(),
            Self::Ogg(writer) => writer.finish(),
            Self::AnnexB(mut out) => out.flush(),
        }
    }
}

/// Nothing that was recorded before is written over.
fn create_new(folder: &Path, stem: &str, extension: &str) -> io::Result<(PathBuf, File)> {
    for count in 1..MOST_OF_A_NAME {
        let name = if count == 1 {
            format!("{stem}.{extension}")
        } else {
            format!("{stem}-{count}.{extension}")
        };
        let path = folder.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("there are too many files of this name"))
}

const MOST_OF_A_NAME: u32 = 10_000;
