#!/bin/sh
# Runs each fuzz target for FUZZ_SECONDS (default 60). The next run starts from fuzz/corpus; failing inputs are in
# fuzz/artifacts. With arguments, runs one target and passes the rest to libFuzzer:
#     scripts/fuzz.sh key -runs=0
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.tools/bin:$PATH"
# Replaces the flags of .cargo/config.toml, which cargo-fuzz drops.
export RUSTFLAGS="--cfg erase_components"

# No sanitizer: it finds errors of unsafe code, which Keyfob doesn't have, and needs nightly Rust.
fuzz() {
    target=$1
    shift
    mkdir -p "fuzz/corpus/$target"
    cargo-fuzz run --sanitizer none --codegen-units 16 "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -dict=fuzz/keys.dict -max_len=128 -timeout=10 -max_total_time="${FUZZ_SECONDS:-60}" -print_final_stats=1 "$@"
}

if [ $# -gt 0 ]; then
    fuzz "$@"
else
    for target in $(cargo-fuzz list); do fuzz "$target"; done
fi
