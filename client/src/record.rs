//! Recordings: a file per track, in the form it came in. Nothing is encoded anew.
//!
//! Owns: which file a frame belongs to, and the time within it. A file can be played after a crash, but for its last second.
//! Does not own: names and who is shown where ([`Labels`] says it), nor the leg.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use baton_protocol::{MediaKind, ParticipantId, Source};

use crate::assembly::Received;
use crate::call::Call;
use crate::media::Codec;
use file::TrackFile;
use timeline::Timeline;

mod file;
mod timeline;

/// Who is who, and whose picture a slot shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    names: BTreeMap<ParticipantId, String>,
    slots: BTreeMap<String, (ParticipantId, Source)>,
}

impl Labels {
    /// As the call knows them now.
    pub fn of(call: &Call) -> Self {
        let Some(room) = call.room() else {
            return Self::default();
        };
        let shown = call.slots().into_iter().filter_map(|slot| {
            let shown = slot.shown?;
            let source = room.source_of(shown.participant, shown.track)?;
            Some((slot.slot, (shown.participant, source)))
        });
        let names = room.participants();
        Self {
            names: names.map(|one| (one.id, one.name.clone())).collect(),
            slots: shown.collect(),
        }
    }

    /// Packets say whose they are, slots what of theirs.
    fn track_of(&self, frame: &Received) -> Option<Track> {
        let shown = self.slots.get(&frame.slot);
        let participant = frame
            .participant
            .or(shown.map(|(participant, _)| *participant))?;
        let source = match frame.codec.kind() {
            MediaKind::Audio => Source::Microphone,
            MediaKind::Video => shown
                .filter(|(known, _)| *known == participant)
                .map_or(Source::Camera, |(_, source)| *source),
        };
        Some(Track {
            participant,
            source,
        })
    }
}

/// What has a file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Track {
    participant: ParticipantId,
    source: Source,
}

/// A folder that is being recorded into.
#[derive(Debug)]
pub struct Recording {
    folder: PathBuf,
    labels: Labels,
    tracks: BTreeMap<Track, Option<Written>>,
}

#[derive(Debug)]
struct Written {
    codec: Codec,
    timeline: Timeline,
    file: TrackFile,
}

impl Recording {
    /// A recording into `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            labels: Labels::default(),
            tracks: BTreeMap::new(),
        })
    }

    /// Who is who has changed.
    pub fn set_labels(&mut self, labels: Labels) {
        self.labels = labels;
    }

    /// Writes a frame to its track's file. A track whose file cannot be written is given up, and said so once.
    pub fn write(&mut self, frame: &Received) {
        let Some(track) = self.labels.track_of(frame) else {
            return;
        };
        let is_running = match self.tracks.get(&track) {
            Some(None) => return,
            Some(Some(written)) => written.codec == frame.codec,
            None => false,
        };
        if !is_running && (!frame.is_key || self.tracks.len() >= MOST_TRACKS) {
            return;
        }
        let result = if is_running {
            Ok(())
        } else {
            self.begin(track, frame)
        };
        let result = result.and_then(|()| {
            let written = self.tracks.get_mut(&track).and_then(Option::as_mut);
            let written = written.expect("the track is running, or was just begun");
            let time = written.timeline.advance(frame);
            written.file.write(time, &frame.data)
        });
        if let Err(error) = result {
            tracing::error!(folder = %self.folder.display(), %error, "a track cannot be recorded");
            self.tracks.insert(track, None);
        }
    }

    /// Gives everything that was written to the system, so that a crash loses nothing before it.
    pub fn flush(&mut self) {
        for written in self.tracks.values_mut().flatten() {
            if let Err(error) = written.file.flush() {
                tracing::error!(%error, "a recording cannot be written");
            }
        }
    }

    /// Ends all files.
    pub fn close(mut self) {
        for (_, written) in std::mem::take(&mut self.tracks) {
            if let Some(Err(error)) = written.map(|written| written.file.finish()) {
                tracing::error!(%error, "a recording cannot be ended");
            }
        }
    }

    /// Opens a file and notes it in the index. An older one of the same track is ended.
    fn begin(&mut self, track: Track, frame: &Received) -> io::Result<()> {
        if let Some(old) = self.tracks.remove(&track).flatten() {
            old.file.finish()?;
        }
        let name = self.labels.names.get(&track.participant);
        let name = name.map_or("", String::as_str);
        let stem = format!(
            "{}-{}-{}",
            file_name(name),
            track.participant.0,
            source(track.source)
        );
        let (path, file) = TrackFile::create(&self.folder, &stem, frame)?;
        self.note(name, track, frame.codec, &path)?;
        let written = Written {
            codec: frame.codec,
            timeline: Timeline::new(frame),
            file,
        };
        self.tracks.insert(track, Some(written));
        Ok(())
    }

    /// One JSON object per file, so that the tracks can be laid side by side.
    fn note(&self, name: &str, track: Track, codec: Codec, path: &Path) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let entry = serde_json::json!({
            "file": path.file_name().map(|name| name.to_string_lossy()),
            "participant": track.participant,
            "name": name,
            "source": track.source,
            "codec": codec,
            "started_ms": u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX),
        });
        let mut index = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join(INDEX))?;
        writeln!(index, "{entry}")
    }
}

/// What others call themselves must not choose a folder.
fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() { c } else { '_' };
    let name: String = name.chars().map(safe).take(LONGEST_NAME).collect();
    if name.is_empty() {
        "somebody".to_owned()
    } else {
        name
    }
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Microphone => "microphone",
        Source::Camera => "camera",
        Source::Screen => "screen",
        Source::ScreenAudio => "screen_audio",
    }
}

/// Name of the file that says when each of the others begins.
pub const INDEX: &str = "recording.jsonl";

const LONGEST_NAME: usize = 40;

/// Files of one recording.
const MOST_TRACKS: usize = 256;

#[cfg(test)]
mod tests;
