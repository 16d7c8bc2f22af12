//! Where the program keeps what it knows from one start to the next.

use std::path::{Path, PathBuf};

/// The system's place for that, for this user; `None` where the system does not say. It may have to be made.
pub fn state() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let state = variable("XDG_STATE_HOME").map(PathBuf::from);
    let home = || variable("HOME").map(|home| Path::new(&home).join(".local/state"));
    let local = || variable("LOCALAPPDATA").map(PathBuf::from);
    let folder = state.or_else(home).or_else(local)?;
    Some(folder.join("baton"))
}
