#!/usr/bin/env bash
# All checks in order, one line per step with the time it took. The first failure stops and shows its output.
#   tests/all.sh          everything (make test)
#   tests/all.sh check    formatting, lints and types only (make check)
#   tests/all.sh prepare  only install what the browsers need
set -euo pipefail
cd "$(dirname "$0")/.."

readonly what=${1:-everything}
readonly out=tests/out
readonly target=${CARGO_TARGET_DIR:-target}
passed=0
failed=0
mkdir -p "$out"

say() { printf '[%4ss] %s\n' "$SECONDS" "$*"; }

# step NAME COMMAND...: runs it quietly; on failure shows everything it said.
step() {
  local name=$1 log="$out/${1// /-}.log" before=$SECONDS
  shift
  if "$@" >"$log" 2>&1; then
    say "ok      $name ($((SECONDS - before)) s)"
  else
    say "FAILED  $name ($((SECONDS - before)) s): $*"
    cat "$log"
    exit 1
  fi
}

# Adds up the closing lines of cargo test and `N passed, N failed` lines of other runners.
count() {
  local sums
  sums=$(sed -E 's/\x1b\[[0-9;]*m//g' "$1" | sed -nE \
    -e 's/^(test result: .*\. )?([0-9]+) passed[,;] ([0-9]+) failed.*/\2 \3/p' \
    -e 's/^ *Tests +([0-9]+) passed.*/\1 0/p' \
    -e 's/^ *Tests +([0-9]+) failed \| ([0-9]+) passed.*/\2 \1/p' | awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }')
  passed=$((passed + ${sums% *}))
  failed=$((failed + ${sums#* }))
}

# counted NAME COMMAND...: a step whose tests are counted; goes on after a failure so that one run tells all.
counted() {
  local name=$1 log="$out/${1// /-}.log" before=$SECONDS verdict=ok
  shift
  "$@" >"$log" 2>&1 || verdict=FAILED
  count "$log"
  say "$verdict      $name ($((SECONDS - before)) s)"
  if [[ $verdict == FAILED ]]; then
    cat "$log"
    broken+=("$name")
  else
    grep -E '^(ok|FAILED|SKIPPED)|^[0-9]+ passed' "$log" || true
  fi
}
broken=()

need_tool() {
  command -v "$1" >/dev/null || { echo "error: $1 is missing: $2" >&2; exit 1; }
}

# What the browser stories need from Debian.
debian_packages() {
  local missing=() package
  for package in chromium firefox-esr iproute2 nftables miniupnpd-nftables coturn python3-venv python3-gi python3-gst-1.0 gstreamer1.0-nice \
    gstreamer1.0-plugins-{base,good,bad} gir1.2-gst-plugins-bad-1.0; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [[ ${#missing[@]} -eq 0 ]] && return
  if [[ $(id -u) -ne 0 ]]; then
    echo "error: the browser tests need Debian packages. Install them: sudo apt-get install ${missing[*]}" >&2
    return 1
  fi
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# npm packages exactly as locked, again only when the lock file changed.
node_packages() {
  local folder=$1
  if ! cmp -s "$folder/package-lock.json" "$folder/node_modules/.lock"; then
    npm --prefix "$folder" ci
    cp "$folder/package-lock.json" "$folder/node_modules/.lock"
  fi
}

# A Python with aiortc: the independent peer that only knows AES_CM.
python_peer() {
  local venv=tests/out/venv wanted=tests/e2e/peers/requirements.txt
  if ! cmp -s "$wanted" "$venv/.lock"; then
    rm -rf "$venv"
    python3 -m venv "$venv" || { echo "error: python3-venv is missing: apt-get install python3-venv" >&2; return 1; }
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/.lock"
  fi
}

prepare() {
  step "debian packages" debian_packages
  step "npm packages of the tests" node_packages tests/e2e
  step "python peer" python_peer
}

need_tool cargo "install Rust from rustup.rs"
need_tool node "install Node 20: apt-get install nodejs npm, or nodejs.org"
need_tool git "apt-get install git"

if [[ $what == prepare ]]; then
  prepare
  exit
fi

step "npm packages of the page" node_packages web
counted "page checks" npm --prefix web run check
step "rust formatting" cargo fmt --all --check
if [[ $what == check ]]; then
  step "rust lints" cargo clippy --workspace --all-targets --locked -- -D warnings
  exit
fi

prepare
export RUSTC_WORKSPACE_WRAPPER="$PWD/tests/lints.sh"
# With all targets at once programs and tests share their libraries: programs alone would want some of them with other features.
step "rust lints and compile" cargo build --workspace --locked --all-targets
counted "rust tests" cargo test --workspace --locked --no-fail-fast
counted "stories in real browsers" env BATON_BIN="$target/debug/baton" node tests/e2e/run.mjs

# What failed stands at the end as well: logs of a whole run are long, and some readers keep only their tail.
for name in "${broken[@]}"; do
  echo "$name:"
  grep -hE -A 4 '^FAILED|^test .* FAILED$|panicked at' "$out/${name// /-}.log" | tail -n 40 || true
done
say "whole run"
echo "$passed passed, $failed failed"
if [[ ${#broken[@]} -gt 0 ]]; then
  printf 'error: failed: %s\n' "${broken[@]}" >&2
  exit 1
fi
