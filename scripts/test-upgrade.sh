#!/bin/sh
# Builds the program of the oldest version once, and runs it next to today's on one PostgreSQL database.
set -eu
cd "$(dirname "$0")/.."

# 0.1.0: see tests/fixtures/README.md.
commit=edba786
folder=${CARGO_TARGET_DIR:-$PWD/target}/upgrade
program=$folder/debug/keyfob
if [ ! -x "$program" ]; then
    git cat-file -e "$commit^{commit}" 2>/dev/null || {
        echo "This clone has no history: run git fetch --unshallow." >&2
        exit 1
    }
    source=$(mktemp -d)
    trap 'rm -rf "$source"' EXIT
    git archive "$commit" | tar -x -C "$source"
    # There, for its own settings of cargo.
    (cd "$source" && cargo build --locked --target-dir "$folder" --bin keyfob)
fi
KEYFOB_OLD_PROGRAM=$program scripts/with-postgres.sh cargo test --test cluster upgrade::server_of_0_1_0 -- --ignored --nocapture
