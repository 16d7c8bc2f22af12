//! Cargo understands the commands that the documents and the Makefile tell people: packages, programs and tests that they name exist
//! where cargo looks for them.
//!
//! Does not own: whether what they start works (`tests/e2e`).

use serde_json::Value;

use crate::documents::{DOCUMENTS, quoted};
use crate::{expect_none, source};

/// A package, as far as command lines know it.
struct Package {
    name: String,
    is_default: bool,
    /// What `cargo run` starts if nothing is said.
    default_run: Option<String>,
    /// Kind and name: `bin`, `test`, and so on.
    targets: Vec<(String, String)>,
}

impl Package {
    fn named<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        let targets = self.targets.iter().filter(move |(of, _)| of == kind);
        targets.map(|(_, name)| name.as_str())
    }
}

fn packages(workspace: &Value) -> Vec<Package> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let defaults = workspace["workspace_default_members"].as_array().unwrap();
    let packages = workspace["packages"].as_array().unwrap().iter();
    packages
        .map(|package| Package {
            name: text(&package["name"]),
            is_default: defaults.contains(&package["id"]),
            default_run: package["default_run"].as_str().map(str::to_owned),
            targets: package["targets"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|target| {
                    let kinds = target["kind"].as_array().unwrap().iter();
                    kinds.map(|kind| (text(kind), text(&target["name"])))
                })
                .collect(),
        })
        .collect()
}

/// The words that follow `option`, wherever it stands.
fn values<'a>(words: &[&'a str], options: &[&str]) -> Vec<&'a str> {
    let pairs = words.iter().zip(words.iter().skip(1));
    let named = pairs.filter(|(option, _)| options.contains(option));
    named.map(|(_, value)| *value).collect()
}

/// Why cargo would refuse `command`, if it is one of cargo's at all.
fn refusal(command: &str, packages: &[Package]) -> Option<String> {
    let command = command.split(" #").next()?.trim();
    let words = command
        .split_whitespace()
        .skip_while(|word| word.contains('='))
        .take_while(|word| *word != "--");
    let words: Vec<_> = words.collect();
    let (&"cargo", Some(&verb)) = (words.first()?, words.get(1)) else {
        return None;
    };
    if !["run", "test", "build"].contains(&verb) {
        return None;
    }
    let chosen = values(&words, &["-p", "--package"]);
    for name in &chosen {
        if !packages.iter().any(|package| package.name == *name) {
            return Some(format!("no package is called {name}"));
        }
    }
    let is_whole = words.contains(&"--workspace");
    let looked_at: Vec<_> = packages
        .iter()
        .filter(|package| match chosen.is_empty() {
            true => is_whole || package.is_default,
            false => chosen.contains(&package.name.as_str()),
        })
        .collect();
    for (option, kind) in [("--bin", "bin"), ("--test", "test")] {
        for name in values(&words, &[option]) {
            let mut targets = looked_at.iter().flat_map(|package| package.named(kind));
            if !targets.any(|target| target == name) {
                return Some(format!(
                    "there is no {kind} {name} where cargo looks for it"
                ));
            }
        }
    }
    if verb == "run" && !words.contains(&"--bin") {
        let has_choice = looked_at
            .iter()
            .any(|package| package.default_run.is_some());
        let programs = looked_at.iter().flat_map(|package| package.named("bin"));
        let count = programs.count();
        if !has_choice && count != 1 {
            return Some(format!("cargo would choose among {count} programs"));
        }
    }
    None
}

fn refusals(document: &str, commands: &[&str], packages: &[Package]) -> Vec<String> {
    let refused = |command: &&str| {
        let reason = refusal(command, packages)?;
        Some(format!("{document} says `{command}`: {reason}"))
    };
    commands.iter().filter_map(refused).collect()
}

#[test]
fn cargo_understands_the_commands_that_people_are_told() {
    let packages = packages(&crate::workspace());
    let mut complaints = Vec::new();
    let mut seen = 0;
    for document in DOCUMENTS.iter().chain(&["Makefile"]) {
        let text = source::read(document).unwrap();
        let commands = match *document {
            "Makefile" => text
                .lines()
                .map(|line| line.trim_start_matches(['\t', '@']))
                .collect(),
            _ => quoted(&text),
        };
        seen += commands
            .iter()
            .filter(|line| line.starts_with("cargo "))
            .count();
        complaints.extend(refusals(document, &commands, &packages));
    }
    expect_none(&complaints);
    assert!(seen >= 8, "only {seen} commands were found");
}

#[test]
fn planted_commands_are_refused() {
    let packages = packages(&crate::workspace());
    let good = [
        "cargo run --release",
        "X=1 cargo run --release --bin baton # why",
        "cargo run -p baton-client -- host --standalone",
        "cargo test -p baton-tests --test sim lab::",
        "cargo build --workspace --bins",
        "cargo metadata --bin nothing",
    ];
    assert_eq!(refusals("A.md", &good, &packages), Vec::<String>::new());
    let bad = [
        "cargo run --release --bin baton-client -- host",
        "cargo run -p baton-tests",
        "cargo build -p baton-clients",
        "cargo test -p baton-tests --test sin",
        "cargo test --test sim",
    ];
    for command in bad {
        assert!(refusal(command, &packages).is_some(), "{command}");
    }
}
