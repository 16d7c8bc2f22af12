//! The load of the benchmark: one publisher and N subscribers of one room, with real ICE and DTLS, then raw media.
//!
//! Prints `measuring` when everybody is watching and the warm-up is over, and one JSON line at the end.

mod arrivals;
mod leg;
mod rtcp;

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use baton_protocol::{LayerInfo, PathToHost, RoomId, SlotView, Source, TrackId, TrackOffer};
use baton_tests::cpu;
use baton_tests::join::{Desk, Wish};
use baton_tests::offer::Part;
use baton_tests::traffic::{Camera, FRAME_EVERY};
use clap::Parser;

use leg::{Hall, Leg};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const WATCH_WITHIN: Duration = Duration::from_secs(10);
const SSRC: u32 = 0x00ba_7071;

#[derive(Parser)]
#[command(about = "One publisher and many subscribers of a Baton room")]
struct Options {
    /// Signaling, for instance ws://127.0.0.1:7880/ws.
    #[arg(long)]
    signaling: String,
    /// Network namespace in which signaling is reached; the media sockets stay in this one.
    #[arg(long)]
    signaling_namespace: Option<String>,
    /// The program `baton`, which writes everybody an invitation with the secret of its environment. Not given: none is needed.
    #[arg(long)]
    inviter: Option<PathBuf>,
    /// Address of the media sockets.
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,
    /// Subscribers of the one publisher.
    #[arg(long, default_value_t = 20)]
    subscribers: u32,
    /// Seconds before measuring: first probes, and signaling that tells everybody of everybody.
    #[arg(long, default_value_t = 8)]
    warm_up: u64,
    /// Seconds to measure.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Milliseconds between two reports of a subscriber's arrivals. libwebrtc takes 50 to 250.
    #[arg(long, default_value_t = 50)]
    feedback: u64,
    /// Processor to run on.
    #[arg(long)]
    processor: Option<usize>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(processor) = options.processor {
        cpu::pin(processor)?;
    }
    let mut out = std::io::stdout();
    let desk = Desk::open(&options.signaling, options.signaling_namespace.as_deref())?;
    let room: RoomId = format!("bench-{}", std::process::id()).parse()?;
    let mut hall = Hall::new(Duration::from_millis(options.feedback))?;

    let camera = TrackOffer {
        mid: "0".into(),
        source: Source::Camera,
        layers: vec![LayerInfo {
            rid: None,
            width: 1280,
            height: 720,
            max_bitrate: 2_000_000,
        }],
        muted: false,
    };
    let track = enter(
        &desk,
        &mut hall,
        &options,
        &room,
        Part::Publisher { ssrc: SSRC },
        vec![camera],
    )?;
    let track = track.context("signaling gave the publisher's track no number")?;
    for _ in 0..options.subscribers {
        enter(
            &desk,
            &mut hall,
            &options,
            &room,
            Part::Subscriber,
            Vec::new(),
        )?;
    }

    let mut camera = Camera::new(SSRC);
    let mut stage = Stage {
        next_frame: Instant::now(),
        sent: 0,
    };
    let view = PathToHost::View {
        slots: vec![SlotView {
            slot: "0".into(),
            track,
            width: 1280,
            height: 720,
            fps: 0,
            priority: 1,
        }],
    };
    let deadline = Instant::now() + WATCH_WITHIN;
    while hall.watching() < options.subscribers as usize {
        let watching = hall.watching();
        ensure!(
            Instant::now() < deadline,
            "only {watching} of {} subscribers see the picture",
            options.subscribers
        );
        stage.play(&mut hall, &mut camera, FRAME_EVERY)?;
        hall.ask_for(&view, Instant::now());
    }
    stage.play(&mut hall, &mut camera, Duration::from_secs(options.warm_up))?;

    writeln!(out, "measuring")?;
    out.flush()?;
    hall.forget_counts();
    stage.sent = 0;
    stage.play(&mut hall, &mut camera, Duration::from_secs(options.seconds))?;
    let counts = hall.counts();
    let wanted = stage.sent * u64::from(options.subscribers);
    let result = serde_json::json!({
        "sent": stage.sent,
        "received": counts.media,
        "loss": 1.0 - counts.media as f64 / wanted.max(1) as f64,
        "repaired": counts.repairs,
        "padding": counts.padding,
        "sampled": counts.sampled,
        "forged": counts.forged,
        "keyframes_asked": counts.keyframe_requests,
    });
    writeln!(out, "{result}")?;
    out.flush()?;
    ensure!(
        counts.forged == 0,
        "{} of {} sampled packets could not be decrypted",
        counts.forged,
        counts.sampled
    );
    Ok(())
}

/// Lets one participant in and waits until their leg is connected. Tells the number of their first track.
fn enter(
    desk: &Desk,
    hall: &mut Hall,
    options: &Options,
    room: &RoomId,
    part: Part,
    tracks: Vec<TrackOffer>,
) -> Result<Option<TrackId>> {
    let name = format!("load {}", hall.len());
    let token = options
        .inviter
        .as_deref()
        .map(|program| invitation(program, room))
        .transpose()?;
    let (mut leg, sdp) = Leg::new(options.address, part, Instant::now())?;
    let seat = desk.enter(Wish {
        room: room.clone(),
        name,
        token,
        sdp,
        tracks,
    })?;
    leg.accept(&seat.sdp, Instant::now())?;
    let index = hall.add(leg)?;
    let deadline = Instant::now() + CONNECT_WITHIN;
    while !hall.is_connected(index) {
        ensure!(
            Instant::now() < deadline,
            "participant {index} did not connect within {CONNECT_WITHIN:?}"
        );
        hall.turn(Duration::from_millis(2), &mut |_| {})?;
    }
    Ok(seat.tracks.first().map(|track| track.id))
}

/// A token that lets one participant in.
fn invitation(program: &Path, room: &RoomId) -> Result<String> {
    let output = Command::new(program)
        .args(["token", "--room", room.as_str()])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let token = text
        .split_whitespace()
        .find(|word| word.matches('.').count() == 2);
    Ok(token.context("baton wrote no invitation")?.to_owned())
}

/// The one who shows something.
struct Stage {
    next_frame: Instant,
    sent: u64,
}

impl Stage {
    /// Sends frames on time and receives what comes, for a while.
    fn play(&mut self, hall: &mut Hall, camera: &mut Camera, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        // After a pause, frames are not made up for.
        self.next_frame = self.next_frame.max(Instant::now() - FRAME_EVERY);
        while Instant::now() < end {
            let now = Instant::now();
            if now >= self.next_frame {
                self.next_frame += FRAME_EVERY;
                self.sent += hall.publish(camera.frame(), camera.timestamp(), now)?;
            }
            let rest = self.next_frame.saturating_duration_since(Instant::now());
            hall.turn(rest, &mut |wish| {
                if wish == rtcp::Wish::Keyframe {
                    camera.request_keyframe();
                }
            })?;
        }
        Ok(())
    }
}
