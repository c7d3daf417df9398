#!/bin/sh
# Runs each fuzz target for FUZZ_SECONDS, or 60: what it finds stays in fuzz/corpus and is where the next run starts, an input that
# fails is left in fuzz/artifacts. Or one of them, and for libFuzzer whatever else it is given:
#     scripts/fuzz.sh key -runs=0
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.tools/bin:$PATH"
# In the place of those in .cargo/config.toml, which cargo-fuzz does not keep.
export RUSTFLAGS="--cfg erase_components"

# Without a sanitizer stable Rust will do; one looks for what only unsafe code can get wrong, and there is none here.
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
