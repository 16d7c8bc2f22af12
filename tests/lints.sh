#!/usr/bin/env bash
# What cargo calls in place of rustc for our own crates (RUSTC_WORKSPACE_WRAPPER): lints while it compiles, and warnings are errors.
# `cargo clippy` would check every dependency once more first: a minute on two processors.
set -euo pipefail
exec clippy-driver "$@" -D warnings
