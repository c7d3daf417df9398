#!/bin/sh
# Licences, bans and sources of the crates, and their known weaknesses where a copy of the advisories is on this machine:
# `cargo deny fetch db` makes or renews one.
set -eu
cd "$(dirname "$0")/../.."

if ! command -v cargo-deny >/dev/null 2>&1; then
    echo "cargo-deny is not here, so crates are not checked: cargo install cargo-deny --version 0.20.2 --locked"
    exit 0
fi
cargo deny --log-level error --all-features check licenses bans sources
if ls -d "${CARGO_HOME:-$HOME/.cargo}"/advisory-db*/* >/dev/null 2>&1; then
    cargo deny --log-level error --all-features check --disable-fetch advisories
else
    echo "No copy of the advisories is here, so known weaknesses are not looked for: cargo deny fetch db"
fi
