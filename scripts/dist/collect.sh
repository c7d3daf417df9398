#!/bin/sh
# Collects the program, the bills of materials of server and browser side (CycloneDX) and the checksums in dist/.
set -eu
cd "$(dirname "$0")/../.."
PATH="$PWD/.tools/bin:$PATH"

# Lists the crates of one side, with licences and digests.
materials() {
    name=$1 target=$2 features=$3
    cargo cyclonedx --quiet --format json --spec-version 1.5 --no-default-features --features "$features" \
        --target "$target" --override-filename "$name"
    # Remove the build path.
    sed "s|path+file://$PWD|path+file:///keyfob|g" "$name.json" >"dist/$name.json"
    rm "$name.json"
}

rm -rf dist
mkdir dist
cp target/release/keyfob dist/
# For the Containerfile.
scripts/dist/root.sh dist/keyfob dist
materials keyfob.cdx "$(rustc --print host-tuple)" ssr
materials keyfob-browser.cdx wasm32-unknown-unknown hydrate
(cd dist && sha256sum keyfob keyfob.cdx.json keyfob-browser.cdx.json >SHA256SUMS)
