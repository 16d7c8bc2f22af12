//! The pure parts read no clock, start no thread, hold no lock and open no socket: time, chance and bytes come in
//! by argument.

use std::path::Path;

use crate::{expect_none, source};

/// Where logic lives that must replay from a seed. A folder, or a file of a shell package that is pure.
const PURE: &[&str] = &[
    "server/engine/src/",
    "signaling/protocol/src/",
    "signaling/src/access",
    "signaling/src/denied",
    "signaling/src/host",
    "signaling/src/participant",
    "signaling/src/rate",
    "signaling/src/registry",
    "signaling/src/room",
    "signaling/src/text",
    "signaling/src/token",
];

/// What logic does not say, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("Instant::now", "time comes in by argument"),
    ("SystemTime::now", "time comes in by argument"),
    ("std::thread", "a pure part runs where it is called"),
    ("thread::spawn", "a pure part runs where it is called"),
    ("UdpSocket", "datagrams come in by argument"),
    ("TcpStream", "bytes come in by argument"),
    ("TcpListener", "bytes come in by argument"),
    ("tokio", "no runtime in the pure parts"),
    ("async fn", "no runtime in the pure parts"),
    (".await", "no runtime in the pure parts"),
    ("static mut", "no globals"),
    ("thread_local!", "no globals"),
    ("LazyLock", "no globals"),
    ("OnceLock", "no globals"),
    ("RwLock", "one owner, no locks"),
    ("Mutex", "one owner, no locks"),
    ("rand::rng()", "chance comes in by argument"),
    ("println!", "a pure part does not print"),
];

/// Places with a good reason: (file, what it may say, the reason).
const ALLOWED: &[(&str, &str, &str)] = &[(
    "server/engine/src/transport",
    "Mutex",
    "rtc wants its key hook behind Arc + Sync; locked a few times per handshake, never per packet",
)];

fn is_pure(path: &Path) -> bool {
    PURE.iter()
        .any(|place| path.to_string_lossy().starts_with(place))
        && !source::is_test(path)
}

fn impurities(path: &str, text: &str) -> Vec<String> {
    let allowed = |word: &str| {
        ALLOWED
            .iter()
            .any(|(place, what, _)| path.starts_with(place) && *what == word)
    };
    let mut complaints = Vec::new();
    for (number, line) in source::code(text) {
        for (word, reason) in FORBIDDEN {
            if line.contains(word) && !allowed(word) {
                complaints.push(format!("{path}:{number}: `{word}`: {reason}"));
            }
        }
    }
    complaints
}

#[test]
fn the_pure_parts_have_no_clock_thread_socket_lock_or_global() {
    let pure: Vec<_> = source::files(&[".rs"])
        .into_iter()
        .filter(|(path, _)| is_pure(path))
        .collect();
    assert!(pure.len() > 10, "the pure parts have moved: {pure:?}");
    let complaints: Vec<_> = pure
        .iter()
        .flat_map(|(path, text)| impurities(&path.to_string_lossy(), text))
        .collect();
    expect_none(&complaints);
}

#[test]
fn a_planted_clock_is_found_and_one_in_a_test_is_not() {
    let text = "fn late() -> Instant { Instant::now() }\n#[cfg(test)]\nmod tests {\n    fn t() { Instant::now(); }\n}\n";
    assert_eq!(impurities("server/engine/src/x.rs", text).len(), 1);
    let hook = "struct Hook(Mutex<u8>);";
    assert_eq!(
        impurities("server/engine/src/transport/hook.rs", hook),
        Vec::<String>::new()
    );
    assert_eq!(impurities("server/engine/src/slot.rs", hook).len(), 1);
}
