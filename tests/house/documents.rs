//! What the documents name exists: files, `make` targets and subcommands of `baton`. Cargo's commands: `commands.rs`.

use std::collections::BTreeSet;

use baton_tests::repository;

use crate::{expect_none, source};

/// Documents that people follow.
pub(crate) const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "signaling/PROTOCOL.md",
    "tests/README.md",
    "docs/bench.md",
    "docs/lines.md",
    "docs/passing.md",
];

/// Made by running things, so not there in a fresh clone.
const MADE: &[&str] = &["tests/out"];

/// Where the command line of `baton` is written.
const COMMAND_LINE_IS_IN: &str = "server/src/";

/// Words in backticks, blocks between ``` included line by line.
pub(crate) fn quoted(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block || line.starts_with("    ") {
            found.push(line.trim());
        } else {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

/// Does it look like a file or folder of this repository?
fn as_path(word: &str) -> Option<&str> {
    let tops = [
        "server/",
        "client/",
        "signaling/",
        "tests/",
        "web/",
        "docs/",
        ".ci/",
    ];
    let files = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "Cargo.toml",
        "Makefile",
        "LICENSE-APACHE",
        "LICENSE-MIT",
    ];
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    (plain && (tops.iter().any(|top| word.starts_with(top)) || files.contains(&word)))
        .then_some(word)
}

fn make_targets(makefile: &str) -> BTreeSet<&str> {
    let rules = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', '.', ' ']));
    rules
        .filter_map(|line| line.split_once(':'))
        .flat_map(|(names, _)| names.split_whitespace())
        .collect()
}

/// What may stand between `make` or `baton` and the next word's end.
fn words_after<'a>(program: &str, command: &'a str) -> Option<&'a str> {
    let command = command.split('#').next()?.trim();
    let mut words = command
        .split_whitespace()
        .skip_while(|word| word.contains('='));
    (words.next()? == program).then(|| words.next()).flatten()
}

struct House<'a> {
    exists: &'a dyn Fn(&str) -> bool,
    makefile: &'a str,
    subcommands: &'a [String],
}

fn untruths(document: &str, text: &str, house: &House<'_>) -> Vec<String> {
    let targets = make_targets(house.makefile);
    let mut complaints = Vec::new();
    for word in quoted(text) {
        if let Some(path) = as_path(word).filter(|path| !(house.exists)(path)) {
            complaints.push(format!("{document} names `{path}`, which does not exist"));
        }
        if let Some(target) = words_after("make", word).filter(|target| !targets.contains(target)) {
            complaints.push(format!(
                "{document} says `make {target}`, which the Makefile does not know"
            ));
        }
        let subcommand = words_after("baton", word).filter(|word| !word.starts_with('-'));
        if let Some(unknown) =
            subcommand.filter(|word| !house.subcommands.iter().any(|known| known == word))
        {
            complaints.push(format!(
                "{document} says `baton {unknown}`, which does not exist"
            ));
        }
    }
    complaints
}

/// The subcommands that a command line names: every `"word"` on a line with `Command::`, as in `Command::new("host")`.
fn subcommands(text: &str) -> Vec<String> {
    let lines = source::code(text).into_iter().map(|(_, line)| line);
    let named = lines.filter(|line| line.contains("Command::"));
    let words = named.flat_map(|line| line.split('"').skip(1).step_by(2));
    words.map(str::to_owned).collect()
}

#[test]
fn what_the_documents_name_exists() {
    let makefile = source::read("Makefile").unwrap();
    let sources = source::files(&[".rs"]);
    let shell = sources
        .iter()
        .filter(|(path, _)| path.starts_with(COMMAND_LINE_IS_IN));
    let subcommands: Vec<_> = shell.flat_map(|(_, text)| subcommands(text)).collect();
    let house = House {
        exists: &|path| MADE.contains(&path) || repository::root().join(path).exists(),
        makefile: &makefile,
        subcommands: &subcommands,
    };
    let mut complaints = Vec::new();
    for document in DOCUMENTS {
        match source::read(document) {
            Some(text) => complaints.extend(untruths(document, &text, &house)),
            None => complaints.push(format!("{document} is missing")),
        }
    }
    expect_none(&complaints);
}

#[test]
fn every_target_of_the_makefile_is_told_by_make_help() {
    let makefile = source::read("Makefile").unwrap();
    let told: BTreeSet<_> = makefile
        .lines()
        .filter(|line| line.contains("## "))
        .filter_map(|line| line.split(':').next())
        .collect();
    for target in [
        "run", "test", "bench", "lab", "bindings", "check", "clean", "help",
    ] {
        assert!(told.contains(target), "`make {target}` has no line of help");
    }
}

#[test]
fn planted_untruths_are_found() {
    let house = House {
        exists: &|path| path == "server/src/main.rs",
        makefile: "run: x\n\tcargo\n",
        subcommands: &["host".into()],
    };
    let truth = "See `server/src/main.rs`, `make run`, `baton host`, `baton --help` and `make` noise.\n\n    BATON_HTTP=x baton host   # why\n";
    assert_eq!(untruths("A.md", truth, &house), Vec::<String>::new());
    let lie = "See `server/src/gone.rs`, `make tea` and\n```\nbaton dance --now\n```\n";
    assert_eq!(untruths("A.md", lie, &house).len(), 3);
    let clap = "let host = command(Command::Host, \"host\");\nlet all = Command::new(\"baton\");\nlet text = \"dance\";\n";
    assert_eq!(subcommands(clap), ["host", "baton"]);
}
