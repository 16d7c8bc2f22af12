//! The program itself, as people and scripts start it: it records, and ends well whatever ends it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use baton_client::media::{Clip, annexb, ivf, ogg};
use serde_json::Value;

use crate::house::{Guest, House, connected};
use crate::media::TestMedia;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_whole_after_sigterm_and_lacks_a_second_at_most_after_a_crash() {
    let house = House::open().await;
    let media = TestMedia::play();
    let mut ana = Guest::enter(&house.link, "Ana", media.publications.clone());
    ana.until("connected", connected).await;
    for (signal, code) in [("TERM", Some(0)), ("KILL", None)] {
        let folder = Folder::new();
        let path = folder.0.to_str().unwrap();
        let mut program = Program::start(&["join", &house.link, "--json", "--record", path]);
        program.until(|line| frames(line, "video") > 100 && frames(line, "audio") > 200);
        program.signal(signal);
        assert_eq!(program.child.wait().unwrap().code(), code, "{signal}");

        let picture = ivf::read(&folder.file("-camera.ivf")).unwrap();
        let sound = ogg::read(&folder.file("-microphone.ogg")).unwrap();
        assert!(picture.frames().len() > 60, "{signal}");
        assert!(sound.length() > Duration::from_secs(2), "{signal}");
        probe(&folder.0);
    }
    media.playing.iter().for_each(|task| task.abort());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_sends_its_test_media_and_says_how_much() {
    let house = House::open().await;
    let mut ben = Guest::enter(&house.link, "Ben", Vec::new());
    ben.until("connected", connected).await;
    let mut program = Program::start(&["join", &house.link, "--json", "--test-media"]);
    ben.until_slots("the hum and the picture", |slots| {
        slots.iter().filter(|slot| slot.tally.packets > 20).count() == 2
    })
    .await;
    let line = program.until(|line| line["event"] == "stats" && line["sent"][3]["bitrate"] != 0);
    let rids: Vec<Option<&str>> = (0..4)
        .map(|index| line["sent"][index]["rid"].as_str())
        .collect();
    assert_eq!(rids, [None, Some("q"), Some("h"), Some("f")]);
    program.signal("INT");
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_in_the_room_without_a_leg() {
    let house = House::open().await;
    let mut ana = Guest::enter(&house.link, "Ana", Vec::new());
    ana.until("connected", connected).await;
    let mut program = Program::start(&["agent", &house.link, "--for", "Ana", "--json"]);
    ana.until("the computer", |event| crate::came(event, "Ana's computer"))
        .await;
    let mut heard = Vec::new();
    program.until(|line| {
        heard.push(line["event"].as_str().unwrap().to_owned());
        heard.iter().filter(|event| *event == "stats").count() == 2
    });
    assert!(!heard.contains(&"connecting".to_owned()), "{heard:?}");
    program.signal("TERM");
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
}

/// Needs ffmpeg to make the files, and is skipped without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_any_codec_is_recorded_as_it_was_sent() {
    let encoders = [
        ("vp9.ivf", "libvpx-vp9 -deadline realtime -cpu-used 8"),
        ("av1.ivf", "libaom-av1 -usage realtime -cpu-used 8"),
        (
            "avc.h264",
            "libx264 -profile:v baseline -preset ultrafast -bf 0",
        ),
    ];
    for (name, encoder) in encoders {
        let folder = Folder::new();
        std::fs::create_dir_all(&folder.0).unwrap();
        let file = folder.0.join(name);
        let picture = "-v error -f lavfi -i testsrc2=size=640x360:rate=30:duration=2 -pix_fmt yuv420p -g 30 -c:v";
        let words = picture.split(' ').chain(encoder.split(' '));
        let made = Command::new("ffmpeg").args(words).arg(&file).status();
        if !made.is_ok_and(|status| status.success()) {
            continue;
        }
        let house = House::open().await;
        let file = file.to_str().unwrap();
        let mut sender = Program::start(&["join", &house.link, "--json", "--video", file]);
        sender.until(|line| line["event"] == "connected");
        let path = folder.0.to_str().unwrap();
        let mut program = Program::start(&["join", &house.link, "--json", "--record", path]);
        program.until(|line| frames(line, "video") > 60);
        program.signal("TERM");
        assert_eq!(program.child.wait().unwrap().code(), Some(0), "{name}");
        let (_, extension) = name.split_once('.').unwrap();
        let end = format!("-camera.{extension}");
        let (sent, came) = (clip(&folder.file(name)), clip(&folder.file(&end)));
        assert_eq!(came.codec(), sent.codec());
        let sent: Vec<_> = sent.frames().iter().map(|frame| &frame.data).collect();
        assert!(came.frames().len() > 30, "{name}");
        for frame in came.frames() {
            assert!(sent.contains(&&frame.data), "{name}: {:?}", frame.at);
        }
    }
}

fn clip(bytes: &bytes::Bytes) -> Clip {
    ivf::read(bytes)
        .or_else(|_| annexb::read(bytes, 30))
        .unwrap()
}

/// Pictures, or packets of sound, that slots of a kind got.
fn frames(line: &Value, kind: &str) -> u64 {
    let slots = line["slots"].as_array().into_iter().flatten();
    let counter = if kind == "video" { "frames" } else { "packets" };
    slots
        .filter(|slot| slot["kind"] == kind)
        .filter_map(|slot| slot[counter].as_u64())
        .sum()
}

/// Does a program that plays everything think so too? Skipped where it is not there.
fn probe(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            continue;
        }
        let words = [
            "-v",
            "error",
            "-show_entries",
            "stream=codec_name",
            "-of",
            "csv=p=0",
        ];
        let Ok(output) = Command::new("ffprobe").args(words).arg(&path).output() else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            ["vp8", "opus"].contains(&said.trim()),
            "{path:?}: {said} {complaints}"
        );
        assert_eq!(complaints, "", "{path:?}");
    }
}

pub(crate) struct Program {
    pub(crate) child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// The computer that Ana lets carry the call to which `link` invites.
    pub(crate) fn computer_of_ana(link: &str) -> Self {
        let words = ["agent", link, "--for", "Ana", "--json", "--allow-hosting"];
        Self::start(&words)
    }

    pub(crate) fn start(words: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_baton-client"))
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads lines until one is as wanted. There is one each second, so that the deadline is noticed.
    pub(crate) fn until(&mut self, mut is_wanted: impl FnMut(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.lines.next().expect("the program runs").unwrap();
            let line: Value = serde_json::from_str(&line).unwrap();
            if is_wanted(&line) {
                return line;
            }
            assert!(Instant::now() < deadline, "last was {line}");
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Ended already: then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder of one test; it is removed when the test is over.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let name = format!("baton-call-{:016x}", rand::random::<u64>());
        Self(std::env::temp_dir().join(name))
    }

    /// The file whose name ends so.
    fn file(&self, end: &str) -> bytes::Bytes {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        let path = paths.find(|path| path.to_str().unwrap().ends_with(end));
        std::fs::read(path.unwrap()).unwrap().into()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
