#!/bin/sh
# Checks licences, bans and sources of the crates, and known vulnerabilities if this machine has a copy of the advisories
# (`cargo deny fetch db`).
set -eu
cd "$(dirname "$0")/../.."

if ! command -v cargo-deny >/dev/null 2>&1; then
    echo "cargo-deny is missing, so crates are not checked. Install it: cargo install cargo-deny --version 0.20.2 --locked"
    exit 0
fi
cargo deny --log-level error --all-features check licenses bans sources
if ls -d "${CARGO_HOME:-$HOME/.cargo}"/advisory-db*/* >/dev/null 2>&1; then
    cargo deny --log-level error --all-features check --disable-fetch advisories
else
    echo "No copy of the advisories, so known vulnerabilities are not checked. Fetch it: cargo deny fetch db"
fi
