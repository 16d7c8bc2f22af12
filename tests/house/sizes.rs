//! A file is one idea and fits in a head: at most 600 lines without its tests, most have 100 to 200.

use std::path::Path;

use crate::{expect_none, source};

const MOST_LINES: usize = 600;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "core", "utils", "util", "common", "helpers", "types", "manager", "misc", "mod",
];

/// Longer for a reason: (file, reason).
const EXCEPTIONS: &[(&str, &str)] = &[];

fn complaint(path: &Path, text: &str) -> Option<String> {
    let shown = path.to_string_lossy();
    let name = path.file_name()?.to_str()?.split('.').next()?;
    if EMPTY_NAMES.contains(&name) {
        return Some(format!(
            "{shown}: a file called `{name}` says nothing about what is inside"
        ));
    }
    let made = shown.contains(".gen.") || EXCEPTIONS.iter().any(|(file, _)| *file == shown);
    if made || source::is_test(path) {
        return None;
    }
    let inline_tests = text
        .find("\n#[cfg(test)]\nmod tests {")
        .unwrap_or(text.len());
    let lines = text[..inline_tests].lines().count();
    (lines > MOST_LINES).then(|| {
        format!("{shown} has {lines} lines without tests; split it (at most {MOST_LINES})")
    })
}

#[test]
fn no_file_is_longer_than_600_lines_and_every_name_says_something() {
    let files = source::files(&[".rs", ".ts", ".svelte", ".js", ".mjs"]);
    expect_none(
        &files
            .iter()
            .filter_map(|(path, text)| complaint(path, text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn a_long_file_and_an_empty_name_are_found() {
    let long = "x\n".repeat(601);
    assert!(complaint(Path::new("web/src/Call.svelte"), &long).is_some());
    assert!(complaint(Path::new("web/src/Call.svelte"), "x\n").is_none());
    assert!(complaint(Path::new("server/src/utils.rs"), "").is_some());
    let tested = format!("fn a() {{}}\n\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert!(complaint(Path::new("server/src/a.rs"), &tested).is_none());
}
