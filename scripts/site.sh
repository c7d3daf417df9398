#!/bin/sh
# Builds the browser side into target/site: WASM, JavaScript, CSS and the files of public/, each also compressed with Brotli.
# It replaces cargo-leptos outside `make dev`, because building cargo-leptos takes minutes.
#     scripts/site.sh
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.tools/bin:$PWD/style/node_modules/.bin:$PATH"
target=${CARGO_TARGET_DIR:-target}
site=target/site

scripts/tools.sh site
rm -rf "$site"
mkdir -p "$site/pkg"
cargo build --config "$(scripts/remap.sh)" --lib --no-default-features --features hydrate --target wasm32-unknown-unknown \
    --profile wasm-release
wasm-bindgen --target web --no-typescript --out-dir "$site/pkg" --out-name keyfob \
    "$target/wasm32-unknown-unknown/wasm-release/keyfob.wasm"
# No inlining: it turns repeated code into different code, which Brotli compresses worse.
wasm-opt -Oz --always-inline-max-function-size=0 --flexible-inline-max-function-size=0 \
    --one-caller-inline-max-function-size=0 --enable-bulk-memory --enable-nontrapping-float-to-int "$site/pkg/keyfob_bg.wasm" -o "$site/pkg/keyfob.wasm"
rm "$site/pkg/keyfob_bg.wasm"
esbuild --minify --format=esm --log-level=warning --allow-overwrite "$site/pkg/keyfob.js" --outfile="$site/pkg/keyfob.js"
tailwindcss --input style/main.css --output "$site/pkg/keyfob.css" --minify
cp -R public/. "$site/"
node scripts/compress.js "$site"
