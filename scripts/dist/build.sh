#!/bin/sh
# Builds the program for `make dist`: with the site inside, without symbols and names of folders of this machine. For another
# target, set DIST_TARGET; its standard library (rustup target add) and linker have to be installed.
set -eu
cd "$(dirname "$0")/../.."

# As remap.sh does, for the sources in C.
export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$PWD=keyfob -ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=cargo"
export KEYFOB_EMBED_SITE=target/site
# The page /api/docs uses none of these files of Swagger UI; empty, they save 2.5 MB.
export SWAGGER_UI_OVERWRITE_FOLDER="$PWD/scripts/dist/swagger-ui"
# Keeps functions with the same code once. Only the linker that Rust has for this target knows the option.
link=
case ${DIST_TARGET:-$(rustc --print host-tuple)} in
x86_64-unknown-linux-gnu) link="'-Clink-arg=-Wl,--icf=all'" ;;
esac
exec cargo build --config "$(scripts/remap.sh)" --config "build.rustflags=[$link]" --profile dist --locked --no-default-features --features ssr \
    --bin keyfob ${DIST_TARGET:+--target "$DIST_TARGET"}
