//! Reading the repository's own files, and the part of a Rust file that is not tests.

use std::path::{Path, PathBuf};

use baton_tests::repository;

/// Files of the repository whose name ends with one of `endings`, with their text.
pub(crate) fn files(endings: &[&str]) -> Vec<(PathBuf, String)> {
    let all = repository::files().unwrap();
    let wanted = all.into_iter().filter(|path| {
        let name = path.to_string_lossy();
        endings.iter().any(|ending| name.ends_with(ending))
    });
    wanted
        .map(|path| {
            let text = std::fs::read_to_string(repository::root().join(&path)).unwrap();
            (path, text)
        })
        .collect()
}

/// One file of the repository, or nothing.
pub(crate) fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(repository::root().join(path)).ok()
}

/// Is the whole file tests?
pub(crate) fn is_test(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.ends_with("tests.rs")
        || text.contains("/tests/")
        || text.contains(".test.")
        || text.contains("/test/")
}

/// The lines of a Rust file with their numbers, without comments and without inline test modules (which stand at the
/// end of a file, or between braces that begin at the left margin).
pub(crate) fn code(text: &str) -> Vec<(usize, &str)> {
    let mut kept = Vec::new();
    let mut pending = false;
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        if inside {
            inside = line != "}";
        } else if line == "#[cfg(test)]" {
            pending = true;
        } else if pending {
            inside = line.ends_with('{');
            pending = line.starts_with("#[");
        } else {
            let line = line.split_once("//").map_or(line, |(before, _)| before);
            if !line.trim().is_empty() {
                kept.push((index + 1, line));
            }
        }
    }
    kept
}

#[test]
fn tests_and_comments_are_not_code() {
    let text = "//! Doc.\nfn a() {} // why\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod tests;\n";
    let lines: Vec<_> = code(text)
        .into_iter()
        .map(|(number, line)| (number, line.trim()))
        .collect();
    assert_eq!(lines, [(2, "fn a() {}"), (7, "fn c() {}")]);
}
