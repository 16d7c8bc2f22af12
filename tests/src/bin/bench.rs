//! `make bench`: what a forwarded packet costs, as a multiple of the floor measured in the same minute.
//!
//! Two namespaces on a cable. The host runs on processor 1, the load on processor 0. Floor and Baton take turns, several
//! times per number of subscribers, so that what else happens on the machine hits both. Needs root and two processors.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use baton_tests::cpu;
use baton_tests::netns::{self, Namespace};
use baton_tests::repository;
use clap::Parser;
use serde_json::Value;

const LOAD: &str = "10.98.0.1";
const HOST: &str = "10.98.0.2";
/// Baton wants one as soon as others can reach it; nobody can here.
const SECRET: (&str, &str) = ("BATON_SECRET", "the secret of a benchmark in a namespace");
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

#[derive(Parser)]
#[command(about = "Cost of a forwarded packet as a multiple of the floor")]
struct Options {
    /// Numbers of subscribers.
    #[arg(long, value_delimiter = ',', default_value = "20,50,150")]
    subscribers: Vec<u32>,
    /// How often floor and Baton take turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each turn.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Fail where Baton costs more than this many floors at 50 subscribers and more.
    #[arg(long)]
    at_most: Option<f64>,
    /// Put the table into docs/bench.md.
    #[arg(long)]
    write: bool,
    /// Measure only the floor.
    #[arg(long)]
    floor_only: bool,
}

/// One turn.
#[derive(Clone, Copy, Debug)]
struct Turn {
    nanos_per_packet: f64,
    packets_per_send: f64,
    loss: f64,
}

/// All turns with one number of subscribers.
struct Row {
    subscribers: u32,
    floor: Vec<Turn>,
    baton: Vec<Turn>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(
        netns::are_possible(),
        "the benchmark needs network namespaces: run it as root"
    );
    let processors = std::thread::available_parallelism()?.get();
    ensure!(
        processors >= 2,
        "the benchmark needs two processors, one for the host and one for the load"
    );
    let world = World::new()?;
    let mut rows = Vec::new();
    for &subscribers in &options.subscribers {
        let mut row = Row {
            subscribers,
            floor: Vec::new(),
            baton: Vec::new(),
        };
        for round in 1..=options.rounds {
            let floor = world.floor(subscribers, options.seconds)?;
            say(&format!(
                "N = {subscribers}, round {round}: floor {:.0} ns",
                floor.nanos_per_packet
            ))?;
            row.floor.push(floor);
            if !options.floor_only {
                let baton = world.baton(subscribers, options.seconds)?;
                let multiple = baton.nanos_per_packet / floor.nanos_per_packet;
                say(&format!(
                    "N = {subscribers}, round {round}: baton {:.0} ns, {multiple:.2} floors",
                    baton.nanos_per_packet
                ))?;
                row.baton.push(baton);
            }
        }
        rows.push(row);
    }
    let table = table(&rows);
    say(&format!("\n{table}"))?;
    if options.write {
        write_down(&table)?;
    }
    if let Some(limit) = options.at_most {
        for row in rows
            .iter()
            .filter(|row| row.subscribers >= 50 && !row.baton.is_empty())
        {
            let multiple = median(&multiples(row));
            ensure!(
                multiple <= limit,
                "{} subscribers cost {multiple:.2} floors; at most {limit} are allowed",
                row.subscribers
            );
        }
    }
    Ok(())
}

/// Two namespaces on a cable, and where the programs are.
struct World {
    load: Namespace,
    host: Namespace,
    programs: PathBuf,
}

impl World {
    fn new() -> Result<Self> {
        let (load, host) = (Namespace::new("load")?, Namespace::new("host")?);
        load.cable(&host, (&format!("{LOAD}/24"), &format!("{HOST}/24")))?;
        // What receiving costs belongs to the load's processor, not to the host's.
        let steer = load
            .command("sh")
            .args(["-c", "echo 1 > /sys/class/net/cable/queues/rx-0/rps_cpus"])
            .status()?;
        ensure!(
            steer.success(),
            "cannot steer received packets to processor 0"
        );
        let own = std::env::current_exe()?;
        let programs = own
            .parent()
            .context("programs lie in a folder")?
            .to_path_buf();
        Ok(Self {
            load,
            host,
            programs,
        })
    }

    fn floor(&self, subscribers: u32, seconds: u64) -> Result<Turn> {
        let output = Command::new(self.programs.join("floor"))
            .args([
                "--subscribers",
                &subscribers.to_string(),
                "--seconds",
                &seconds.to_string(),
            ])
            .args([
                "--load",
                self.load.name(),
                LOAD,
                "--forwarder",
                self.host.name(),
                HOST,
            ])
            .stderr(Stdio::inherit())
            .output()
            .context("start floor")?;
        ensure!(output.status.success(), "floor failed");
        let result: Value = serde_json::from_slice(&output.stdout)?;
        let number = |name: &str| {
            result[name]
                .as_f64()
                .with_context(|| format!("floor said no {name}"))
        };
        Ok(Turn {
            nanos_per_packet: number("nanos_per_packet")?,
            packets_per_send: number("packets_per_send")?,
            loss: number("loss")?,
        })
    }

    fn baton(&self, subscribers: u32, seconds: u64) -> Result<Turn> {
        let baton = Baton::start(&self.host, &self.programs.join("baton"))?;
        let mut load = Ended(
            self.load
                .command(path(&self.programs.join("load"))?)
                .args([
                    "--signaling",
                    &format!("ws://{}/ws", baton.http),
                    "--signaling-namespace",
                    self.host.name(),
                ])
                .args([
                    "--address",
                    LOAD,
                    "--subscribers",
                    &subscribers.to_string(),
                    "--seconds",
                    &seconds.to_string(),
                ])
                .args([
                    "--processor",
                    "0",
                    "--inviter",
                    path(&self.programs.join("baton"))?,
                ])
                .env(SECRET.0, SECRET.1)
                .stdout(Stdio::piped())
                .spawn()
                .context("start load")?,
        );
        let mut said = lines(&mut load.0)?;
        ensure!(
            line(&mut said)?.trim() == "measuring",
            "load did not come to measuring"
        );
        let (time, before) = (cpu::of_process(baton.pid())?, self.metrics(&baton.admin)?);
        let result: Value = serde_json::from_str(&line(&mut said)?).context("load's result")?;
        let (time, after) = (
            cpu::of_process(baton.pid())? - time,
            self.metrics(&baton.admin)?,
        );
        ensure!(load.0.wait()?.success(), "load failed");
        let received = result["received"]
            .as_f64()
            .context("load said no received")?;
        let loss = result["loss"].as_f64().context("load said no loss")?;
        let grown = |words: [&str; 2]| sum(&after, words) - sum(&before, words);
        Ok(Turn {
            nanos_per_packet: time.as_nanos() as f64 / received.max(1.0),
            packets_per_send: grown(["rtp_packets", "\"out\""])
                / grown(["send_calls_total", ""]).max(1.0),
            loss,
        })
    }

    /// Baton's metrics as text, fetched inside its namespace.
    fn metrics(&self, admin: &str) -> Result<String> {
        let fetch = || -> Result<String> {
            let mut socket = std::net::TcpStream::connect(admin)?;
            write!(socket, "GET /metrics HTTP/1.0\r\nHost: {admin}\r\n\r\n")?;
            let mut text = String::new();
            socket.read_to_string(&mut text)?;
            Ok(text)
        };
        self.host.enter(fetch)?
    }
}

/// Adds up the counters whose name holds all of `words`.
fn sum(metrics: &str, words: [&str; 2]) -> f64 {
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    let wanted = samples
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(name, _)| words.iter().all(|word| name.contains(word)));
    wanted
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}

/// The process under test, tied to processor 1.
struct Baton {
    child: Ended,
    http: String,
    admin: String,
}

impl Baton {
    fn start(place: &Namespace, program: &Path) -> Result<Self> {
        let child = place
            .command("taskset")
            .args(["-c", "1", path(program)?, "--json"])
            .env("BATON_HTTP", "127.0.0.1:0")
            .env("BATON_ADMIN", "127.0.0.1:0")
            .env("BATON_MEDIA", format!("{HOST}:0"))
            .env(SECRET.0, SECRET.1)
            .env("BATON_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .context("start baton")?;
        let mut child = Ended(child);
        let mut said = lines(&mut child.0)?;
        let ready: Value = serde_json::from_str(&line(&mut said)?).context("baton's ready line")?;
        let address = |name: &str| -> Result<String> {
            let value = ready[name].as_str().or_else(|| ready[name][0].as_str());
            let value = value
                .with_context(|| format!("baton did not say where {name} listens: {ready}"))?;
            Ok(value
                .split("://")
                .last()
                .unwrap_or(value)
                .trim_end_matches('/')
                .to_owned())
        };
        Ok(Self {
            http: address("http")?,
            admin: address("admin")?,
            child,
        })
    }

    /// `ip netns exec` and `taskset` become the program they start, so this is the host itself.
    fn pid(&self) -> u32 {
        self.child.0.id()
    }
}

/// A process that does not outlive this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines(child: &mut Child) -> Result<BufReader<ChildStdout>> {
    Ok(BufReader::new(
        child.stdout.take().context("stdout is piped")?,
    ))
}

fn line(said: &mut BufReader<ChildStdout>) -> Result<String> {
    let mut text = String::new();
    ensure!(
        said.read_line(&mut text)? > 0,
        "the process ended without a word"
    );
    Ok(text)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Turn by turn, because a floor and its Baton met the same machine.
fn multiples(row: &Row) -> Vec<f64> {
    row.floor
        .iter()
        .zip(&row.baton)
        .map(|(floor, baton)| baton.nanos_per_packet / floor.nanos_per_packet)
        .collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| subscribers | floor, ns per packet | Baton, ns per packet | Baton in floors (least to most) | packets per send call, floor / Baton | lost |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in rows {
        if row.baton.is_empty() {
            let floor: Vec<f64> = row.floor.iter().map(|turn| turn.nanos_per_packet).collect();
            let _ = writeln!(
                text,
                "| {} | {:.0} | | | | |",
                row.subscribers,
                median(&floor)
            );
            continue;
        }
        let middle = |turns: &[Turn], field: fn(&Turn) -> f64| {
            median(&turns.iter().map(field).collect::<Vec<_>>())
        };
        let multiples = multiples(row);
        let (least, most) = multiples
            .iter()
            .fold((f64::INFINITY, 0.0_f64), |(low, high), &value| {
                (low.min(value), high.max(value))
            });
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.0} | {:.2} ({least:.2} to {most:.2}) | {:.1} / {:.1} | {:.3} % |",
            row.subscribers,
            middle(&row.floor, |turn| turn.nanos_per_packet),
            middle(&row.baton, |turn| turn.nanos_per_packet),
            median(&multiples),
            middle(&row.floor, |turn| turn.packets_per_send),
            middle(&row.baton, |turn| turn.packets_per_send),
            100.0 * middle(&row.baton, |turn| turn.loss),
        );
    }
    text
}

/// Replaces the measured part of `docs/bench.md`.
fn write_down(table: &str) -> Result<()> {
    let path = repository::root().join("docs/bench.md");
    let text = std::fs::read_to_string(&path).context("docs/bench.md")?;
    let (before, rest) = text
        .split_once(BEGIN)
        .context("docs/bench.md has no mark where to begin")?;
    let (_, after) = rest
        .split_once(END)
        .context("docs/bench.md has no mark where to end")?;
    let machine = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = machine
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or_default();
    let model = model.trim_start_matches(['\t', ' ', ':']);
    std::fs::write(
        &path,
        format!("{before}{BEGIN}\n\nOn {model}:\n\n{table}\n{END}{after}"),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added_up_by_the_words_of_their_names() {
        let metrics = "# TYPE x counter\nrtp_packets_total{direction=\"out\"} 10\nrtp_packets_total{direction=\"in\"} 5\nsend_calls_total 3\n";
        assert_eq!(sum(metrics, ["rtp_packets", "out"]), 10.0);
        assert_eq!(sum(metrics, ["send_calls", ""]), 3.0);
    }

    #[test]
    fn the_multiple_is_taken_turn_by_turn() {
        let turn = |nanos_per_packet| Turn {
            nanos_per_packet,
            packets_per_send: 5.0,
            loss: 0.0,
        };
        let row = Row {
            subscribers: 50,
            floor: vec![turn(100.0), turn(200.0), turn(100.0)],
            baton: vec![turn(150.0), turn(300.0), turn(400.0)],
        };
        assert_eq!(median(&multiples(&row)), 1.5);
        assert!(table(&[row]).contains("1.50 (1.50 to 4.00)"));
    }
}
