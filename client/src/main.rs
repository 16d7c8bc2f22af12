//! The binary `baton-client`: a participant in a terminal. Everything that is only the program's lives in `app/`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

mod app;

fn main() -> ExitCode {
    app::run()
}
