//! Every package keeps the workspace's lints and licence; `unsafe` and machine paths stay out.

use baton_tests::repository;

use crate::{expect_none, source};

/// Files that may say `unsafe`, with the reason.
const UNSAFE_ALLOWED: &[(&str, &str)] = &[(
    "server/engine/src/prefetch.rs",
    "asks the processor for memory ahead of time, which the language has no safe word for",
)];

fn manifest_complaints(path: &str, text: &str) -> Vec<String> {
    let wanted = [
        "[lints]\nworkspace = true",
        "license.workspace = true",
        "edition.workspace = true",
        "publish.workspace = true",
    ];
    let missing = wanted.iter().filter(|line| !text.contains(**line));
    missing
        .map(|line| format!("{path}: `{}` is missing", line.replace('\n', " ")))
        .collect()
}

fn unsafe_lines(path: &str, text: &str) -> Vec<String> {
    if UNSAFE_ALLOWED.iter().any(|(file, _)| *file == path) {
        return Vec::new();
    }
    let outside_texts = |line: &str| line.split('"').step_by(2).collect::<String>();
    let says_unsafe = |line: &str| {
        let code = outside_texts(line);
        let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| word == "unsafe")
    };
    let found = source::code(text)
        .into_iter()
        .filter(|(_, line)| says_unsafe(line));
    found
        .map(|(number, _)| format!("{path}:{number}: `unsafe` is not allowed here"))
        .collect()
}

/// A path that only exists on somebody's computer.
fn machine_paths(path: &str, text: &str) -> Vec<String> {
    let homes = ["/home/", "/root/", "/Users/", "/work/", "C:\\Users"];
    let found = text.lines().enumerate().filter(|(_, line)| {
        homes.iter().any(|home| {
            line.split(home)
                .skip(1)
                .any(|rest| rest.starts_with(char::is_alphanumeric))
        })
    });
    found
        .map(|(index, line)| {
            format!(
                "{path}:{}: a path of one machine: {}",
                index + 1,
                line.trim()
            )
        })
        .collect()
}

#[test]
fn every_package_keeps_the_lints_and_the_licence_of_the_workspace() {
    let manifests = source::files(&["Cargo.toml"]);
    let members: Vec<_> = manifests
        .iter()
        .filter(|(path, _)| path.parent().is_some_and(|p| !p.as_os_str().is_empty()))
        .collect();
    assert!(members.len() >= 7);
    expect_none(
        &members
            .iter()
            .flat_map(|(path, text)| manifest_complaints(&path.to_string_lossy(), text))
            .collect::<Vec<_>>(),
    );
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        assert!(
            source::read(licence).is_some_and(|text| text.len() > 500),
            "{licence} is missing"
        );
    }
}

#[test]
fn unsafe_is_not_used() {
    let files = source::files(&[".rs"]);
    expect_none(
        &files
            .iter()
            .flat_map(|(path, text)| unsafe_lines(&path.to_string_lossy(), text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let here = file!();
    let files = source::files(&[
        ".rs", ".ts", ".svelte", ".js", ".mjs", ".json", ".md", ".toml", ".lock", ".py", ".sh",
        ".html", "Makefile", "run",
    ]);
    assert!(
        files
            .iter()
            .any(|(path, _)| here.ends_with(&*path.to_string_lossy())),
        "{here} was not read"
    );
    let others = files
        .iter()
        .filter(|(path, _)| !here.ends_with(&*path.to_string_lossy()));
    expect_none(
        &others
            .flat_map(|(path, text)| machine_paths(&path.to_string_lossy(), text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn planted_faults_are_found() {
    assert_eq!(
        manifest_complaints("x/Cargo.toml", "[package]\nname = \"x\"\n").len(),
        4
    );
    assert_eq!(unsafe_lines("a.rs", "let x = unsafe { f() };\n").len(), 1);
    assert_eq!(
        unsafe_lines(
            "a.rs",
            "#![forbid(unsafe_code)] // unsafe\nlet s = \"unsafe\";\n"
        )
        .len(),
        0
    );
    // In two parts, or this line would be what it looks for.
    let path = format!("see {}ana/baton\nand /home/ too\n", "/home/");
    assert_eq!(machine_paths("a.md", &path).len(), 1);
    assert!(repository::root().join("Cargo.toml").exists());
}
