//! Where things are in the repository, told from the place of this package.

use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("tests is a folder of the workspace")
        .to_path_buf()
}

/// Every file git would commit, relative to [`root`], sorted. Files that are ignored are not told.
///
/// # Errors
/// When git is missing or this is not a work tree.
pub fn files() -> anyhow::Result<Vec<PathBuf>> {
    let listing = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()?;
    anyhow::ensure!(listing.status.success(), "git ls-files failed");
    let mut files: Vec<PathBuf> = String::from_utf8(listing.stdout)?
        .lines()
        .map(PathBuf::from)
        .filter(|path| root().join(path).exists())
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}
