#!/bin/sh
# Prints the options of rustc that replace the folders of this machine in the program, as cargo's --config takes them.
set -eu
cd "$(dirname "$0")/.."
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
printf 'build.rustflags=['
for prefix in "$PWD=keyfob" "$target_dir=target" "${CARGO_HOME:-$HOME/.cargo}=cargo"; do
    printf "'--remap-path-prefix=%s'," "$prefix"
done
printf ']'
