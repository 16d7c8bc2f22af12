//! The hands of `make lab`: says which scenarios there are, carries packets between namespaces, measures recordings, writes the table.
//!
//! Drives no browser: that is `tests/e2e/lab.mjs`, which starts this.

use std::io::{BufRead, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use baton_tests::lab::{Recording, Row, Scenario, Way, measure, table};
use baton_tests::link::Link;
use baton_tests::netns::Namespace;
use clap::{Parser, Subcommand};
use serde::{Deserialize, Serialize};
use socket2::SockRef;

/// Time between two lines about a link.
const TELL: Duration = Duration::from_millis(50);

/// How downloads beside a call are sent: as by most computers, whatever this one is set to (RFC 9438).
const CONGESTION: &[u8] = b"cubic";

/// Port of downloads beside a call.
const DOWNLOAD_PORT: u16 = 9009;

const BEGIN: &str = "<!-- figures, by `make lab` -->\n";
const END: &str = "<!-- end of figures -->\n";

#[derive(Parser)]
#[command(about = "Scenarios, lines, figures and the table of `make lab`")]
struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Prints all scenarios as JSON, variants as scenarios of their own.
    List,
    /// A line between two namespaces. Reads changes from standard input, prints how it does; ends with its input.
    Link {
        /// Namespace and address of the end in the middle.
        #[arg(long, num_args = 2)]
        home: Vec<String>,
        /// Namespace and address of the participant's end.
        #[arg(long, num_args = 2)]
        guest: Vec<String>,
        /// Name of the interface in the middle.
        #[arg(long)]
        name: String,
        /// What is lost.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Reads `{scenario, name, recording}` and prints a row of the table as JSON.
    Measure,
    /// Writes the rows of a folder into a document, between its markers.
    Table {
        /// Folder with one row a file.
        rows: PathBuf,
        /// The document.
        document: PathBuf,
    },
}

/// What the driver says of a line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Order {
    up: Way,
    down: Way,
    downloads: bool,
}

/// How a line does.
#[derive(Serialize)]
struct Told {
    /// Milliseconds that a packet towards the participant waits, and one from them.
    queue: f64,
    queue_up: f64,
    lost: u64,
    overflowed: u64,
    downloaded: u64,
}

#[derive(Deserialize)]
struct Played {
    name: String,
    scenario: Scenario,
    recording: Recording,
}

fn main() -> Result<()> {
    match Options::parse().task {
        Task::List => print(&scenarios()?),
        Task::Link {
            home,
            guest,
            name,
            seed,
        } => link(&home, &guest, &name, seed),
        Task::Measure => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            let played: Played = serde_json::from_str(&text)?;
            print(&Row {
                figures: measure(&played.scenario, &played.recording),
                scenario: played.name,
                world: played.recording.world,
                failed: None,
            })
        }
        Task::Table { rows, document } => write_table(&rows, &document),
    }
}

fn print(value: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

fn scenarios() -> Result<Vec<(String, Scenario)>> {
    Scenario::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("lab"))
}

fn write_table(rows: &Path, document: &Path) -> Result<()> {
    let mut read = Vec::new();
    for entry in std::fs::read_dir(rows).with_context(|| format!("read {}", rows.display()))? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        let row: Row = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        read.push(row);
    }
    let text = std::fs::read_to_string(document)?;
    let (before, rest) = text
        .split_once(BEGIN)
        .with_context(|| format!("{} has no line {BEGIN}", document.display()))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("{} has no line {END}", document.display()))?;
    let table = table(&scenarios()?, &read);
    std::fs::write(document, format!("{before}{BEGIN}\n{table}\n{END}{after}"))?;
    Ok(())
}

fn link(home: &[String], guest: &[String], name: &str, seed: u64) -> Result<()> {
    let [home_space, home_address] = home else {
        bail!("--home needs a namespace and an address");
    };
    let [guest_space, guest_address] = guest else {
        bail!("--guest needs a namespace and an address");
    };
    let (home, guest) = (Namespace::known(home_space), Namespace::known(guest_space));
    let [near, far] = [home_address, guest_address].map(|text| text.parse::<Ipv4Addr>());
    let (near, far) = (near?, far?);
    let link = Arc::new(Link::named(name, (&home, near), (&guest, far), seed)?);
    let downloaded = Arc::new(AtomicU64::new(0));
    {
        let (link, downloaded) = (link.clone(), downloaded.clone());
        std::thread::spawn(move || tell(&link, &downloaded));
    }
    let (mut up, mut down) = (Way::default(), Way::default());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let order: Order =
            serde_json::from_str(&line).with_context(|| format!("no order: {line}"))?;
        (up, down) = (up.over(order.up), down.over(order.down));
        link.set_forward(down.line());
        link.set_backward(up.line());
        if order.downloads {
            download((&home, near), &guest, &downloaded)?;
        }
    }
    Ok(())
}

fn tell(link: &Link, downloaded: &AtomicU64) {
    let millis = |span: Duration| span.as_secs_f64() * 1000.0;
    let mut next = Instant::now();
    loop {
        next += TELL;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let [forward, backward] = link.counts();
        let told = Told {
            queue: millis(forward.waiting),
            queue_up: millis(backward.waiting),
            lost: forward.lost + backward.lost,
            overflowed: forward.overflowed + backward.overflowed,
            downloaded: downloaded.load(Ordering::Relaxed),
        };
        if print(&told).is_err() {
            return;
        }
    }
}

/// A download from the middle to the participant, as fast as TCP sends, until the process ends.
fn download(
    home: (&Namespace, Ipv4Addr),
    guest: &Namespace,
    downloaded: &Arc<AtomicU64>,
) -> Result<()> {
    let address = SocketAddr::from((home.1, DOWNLOAD_PORT));
    let listener = home.0.enter(|| TcpListener::bind(address))??;
    SockRef::from(&listener)
        .set_tcp_congestion(CONGESTION)
        .context("this system has no CUBIC")?;
    std::thread::spawn(move || {
        let Ok((mut to, _)) = listener.accept() else {
            return;
        };
        let chunk = [0x5a; 16 * 1024];
        while to.write_all(&chunk).is_ok() {}
    });
    let mut from =
        guest.enter(|| TcpStream::connect_timeout(&address, Duration::from_secs(10)))??;
    ensure!(from.peer_addr()? == address, "somebody else answered");
    let downloaded = downloaded.clone();
    std::thread::spawn(move || {
        let mut chunk = [0; 16 * 1024];
        while let Ok(size) = from.read(&mut chunk) {
            if size == 0 {
                return;
            }
            downloaded.fetch_add(size as u64, Ordering::Relaxed);
        }
    });
    Ok(())
}
