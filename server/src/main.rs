//! The binary `baton`: signaling, central host and page in one program, or one of them alone.
//!
//! Everything that is only the program's (command line, configuration, HTTP, metrics) lives in `app/`; what forwards
//! media is the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

mod app;

fn main() -> ExitCode {
    app::run()
}
