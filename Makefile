# Everything one does with this repository. `make` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test check bench lab play bindings clean

help: ## List these commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|'

run: web/node_modules/.ready ## Build page and server, serve http://localhost:7880
	cargo run --release --bin baton

test: ## Everything that must pass, from a bare Debian 12 with Rust and Node
	@tests/all.sh

check: ## The quick half of `make test`: formatting, lints, types
	@tests/all.sh check

bench: ## Cost of a forwarded packet as a multiple of the floor (root, about 10 minutes)
	cargo build --release --bin baton -p baton-server
	cargo build --release -p baton-tests --bins
	target=$${CARGO_TARGET_DIR:-target}; "$$target/release/bench" $(ARGS)

lab: ## Calls on bad lines, simulated and real, and the tables in docs/lines.md and docs/passing.md (root, an hour and a half)
	cargo build --workspace --bins
	@tests/all.sh prepare
	node tests/e2e/lab.mjs $(ARGS)

play: ## A room with both browsers and a bad line to play with: make play ARGS="--loss 2"
	cargo build --workspace --bins
	@tests/all.sh prepare
	node tests/e2e/play.mjs $(ARGS)

bindings: ## Write the page's protocol types anew from the Rust types
	BATON_BLESS=1 cargo test -q -p baton-protocol --lib bindings

clean: ## Remove what was built
	cargo clean
	rm -rf web/dist web/node_modules tests/e2e/node_modules tests/out

web/node_modules/.ready: web/package-lock.json
	npm --prefix web ci
	touch $@
