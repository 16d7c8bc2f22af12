//! Makes the table of embedded files: the page (built here if Node's packages are installed) and the minimal page.
//!
//! `WEB_DIST` names a page that was built elsewhere. Nothing is downloaded, and nothing is written outside `OUT_DIR`.

#![allow(
    clippy::print_stdout,
    reason = "a build script speaks to cargo on stdout"
)]

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What the page is made of. A change of any of it builds the page anew.
const INPUTS: [&str; 9] = [
    "build.rs",
    "index.html",
    "minimal",
    "package-lock.json",
    "package.json",
    "public",
    "src",
    "svelte.config.js",
    "vite.config.ts",
];

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo:rerun-if-env-changed=WEB_DIST");
    for input in INPUTS {
        println!("cargo:rerun-if-changed={input}");
    }

    let page = built_page(&root, &out);
    let mut files = Vec::new();
    if let Some(page) = &page {
        collect(page, "", &mut files);
    }
    collect(&root.join("minimal"), "/minimal", &mut files);
    files.sort();
    fs::write(out.join("assets.rs"), table(&files, page.is_some())).expect("OUT_DIR is writable");
}

/// Folder of the built page; `None` where only the minimal page can be had.
fn built_page(root: &Path, out: &Path) -> Option<PathBuf> {
    if let Some(given) = env::var_os("WEB_DIST") {
        let given = PathBuf::from(given);
        assert!(
            given.join("index.html").is_file(),
            "WEB_DIST={} holds no index.html; build the page with `npm run build` in web/",
            given.display()
        );
        println!("cargo:rerun-if-changed={}", given.display());
        return Some(given);
    }
    let vite = root.join("node_modules").join("vite/bin/vite.js");
    if env::var_os("DOCS_RS").is_some() {
        return None;
    }
    if !vite.is_file() {
        println!(
            "cargo:warning=only the minimal page is embedded; for the whole one run `npm --prefix web ci` and build again"
        );
        return None;
    }
    let dist = out.join("dist");
    let run = Command::new("node")
        .arg(&vite)
        .args(["build", "--logLevel", "warn", "--emptyOutDir", "--outDir"])
        .arg(&dist)
        .current_dir(root)
        .output();
    match run {
        Ok(run) if run.status.success() => Some(dist),
        Ok(run) => panic!(
            "the page does not build; `npm --prefix web run build` shows why:\n{}{}",
            String::from_utf8_lossy(&run.stdout),
            String::from_utf8_lossy(&run.stderr)
        ),
        Err(error) => {
            println!(
                "cargo:warning=only the minimal page is embedded: `node` did not start ({error})"
            );
            None
        }
    }
}

/// Files below `folder` with the path they are served at.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) {
    let entries = fs::read_dir(folder).expect("the folder of the page is readable");
    for entry in entries {
        let entry = entry.expect("the folder of the page is readable");
        let name = entry.file_name();
        let name = name.to_str().expect("files of the page have plain names");
        let served = format!("{prefix}/{name}");
        if entry.path().is_dir() {
            collect(&entry.path(), &served, files);
        } else {
            files.push((served, entry.path()));
        }
    }
}

fn table(files: &[(String, PathBuf)], page_is_built: bool) -> String {
    let mut text =
        format!("const PAGE_IS_BUILT: bool = {page_is_built};\nstatic ASSETS: &[Asset] = &[\n");
    for (served, file) in files {
        if file.extension() == Some(OsStr::new("br")) {
            continue;
        }
        let packed = format!("{served}.br");
        let packed = files.iter().find(|(other, _)| *other == packed);
        let brotli = packed.map_or("None".to_owned(), |(_, file)| {
            format!("Some(include_bytes!({file:?}))")
        });
        let bytes = fs::read(file).expect("the files of the page are readable");
        writeln!(
            text,
            "    Asset {{ path: {served:?}, content_type: {:?}, etag: \"\\\"{:016x}\\\"\", immutable: {}, bytes: include_bytes!({file:?}), brotli: {brotli} }},",
            content_type(file),
            fingerprint(&bytes),
            served.starts_with("/assets/"),
        )
        .expect("writing to a String does not fail");
    }
    text.push_str("];\n");
    text
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(OsStr::to_str) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "webmanifest") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}

/// FNV-1a: tells one build of a file from another, guards nothing.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
