//! From flags and files to what is sent.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use baton_client::Publication;
use baton_client::media::{Clip, annexb, ivf, ogg, test_clip};
use baton_client::publish::{Feed, play};
use baton_protocol::{LayerInfo, Source};
use bytes::Bytes;

use super::cli::Send;

/// Publications, and the clips that they play.
#[derive(Debug, Default)]
pub(super) struct Sending {
    publications: Vec<Publication>,
    waiting: Vec<(Feed, Vec<Clip>)>,
}

impl Sending {
    /// Reads what the flags name.
    pub(super) fn read(flags: &Send) -> anyhow::Result<Self> {
        let mut sending = Self::default();
        if flags.test_media {
            let (layers, clips) = test_clip::pictures().into_iter().unzip();
            sending.add(Source::Microphone, Vec::new(), vec![test_clip::sound()]);
            sending.add(Source::Camera, layers, clips);
        }
        if let Some(path) = &flags.audio {
            let clip = ogg::read(&bytes(path)?).with_context(|| name(path))?;
            sending.add(Source::Microphone, Vec::new(), vec![clip]);
        }
        if let Some(path) = &flags.video {
            let clip = video(path, flags.fps)?;
            let (width, height) = clip.size();
            let layer = LayerInfo {
                rid: None,
                width,
                height,
                max_bitrate: u32::try_from(clip.bitrate()).unwrap_or(u32::MAX),
            };
            sending.add(Source::Camera, vec![layer], vec![clip]);
        }
        Ok(sending)
    }

    fn add(&mut self, source: Source, layers: Vec<LayerInfo>, clips: Vec<Clip>) {
        let Some(codec) = clips.first().map(Clip::codec) else {
            return;
        };
        let (publication, feed) = Publication::new(source, codec, layers);
        self.publications.push(publication);
        self.waiting.push((feed, clips));
    }

    /// What a call is given.
    pub(super) fn publications(&self) -> Vec<Publication> {
        self.publications.clone()
    }

    /// Starts the clips, once; must be called inside a tokio runtime.
    pub(super) fn play(&mut self) {
        for (feed, clips) in self.waiting.drain(..) {
            tokio::spawn(play(feed, clips));
        }
    }
}

fn video(path: &Path, fps: u32) -> anyhow::Result<Clip> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let clip = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("ivf") => ivf::read(&bytes(path)?),
        Some("h264" | "264") => annexb::read(&bytes(path)?, fps),
        _ => bail!(
            "{}: a picture comes from an .ivf or .h264 file",
            path.display()
        ),
    };
    clip.with_context(|| name(path))
}

fn bytes(path: &Path) -> anyhow::Result<Bytes> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| name(path))?;
    let length = file
        .take(LARGEST)
        .read_to_end(&mut bytes)
        .with_context(|| name(path))?;
    ensure!(
        (length as u64) < LARGEST,
        "{}: larger than {} MB, which is too large to be repeated from memory",
        path.display(),
        LARGEST / 1_000_000
    );
    Ok(bytes.into())
}

fn name(path: &Path) -> String {
    format!("cannot send {}", path.display())
}

/// A file is held in memory whole.
const LARGEST: u64 = 512_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_media_is_a_sound_and_a_picture_in_three_layers() {
        let sending = Sending::read(&Send {
            test_media: true,
            video: None,
            audio: None,
            fps: 30,
        });
        let publications = sending.unwrap().publications();
        let layers: Vec<usize> = publications.iter().map(|one| one.layers().len()).collect();
        assert_eq!(layers, [0, 3]);
    }

    #[test]
    fn a_file_that_is_not_there_or_of_another_kind_is_named() {
        let refusal = |file: &str| {
            let error = video(Path::new(file), 30).unwrap_err();
            format!("{error:#}")
        };
        assert!(refusal("nowhere.ivf").starts_with("cannot send nowhere.ivf: "));
        assert!(refusal("talk.mp4").contains(".ivf or .h264"));
    }
}
