#!/bin/sh
# Collects what `make dist` publishes: a reproducible tarball for the target, and its checksum. dist/root and dist/data are for the
# Containerfile.
set -eu
cd "$(dirname "$0")/../.."
PATH="$PWD/.tools/bin:$PATH"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
target=${DIST_TARGET:-$(rustc --print host-tuple)}
program=${CARGO_TARGET_DIR:-target}/${DIST_TARGET:+$DIST_TARGET/}dist/keyfob
name=keyfob-$version-$target
folder=dist/$name

# Lists the crates of one side, with licences and digests.
materials() {
    file=$1 of=$2 features=$3
    cargo cyclonedx --quiet --format json --spec-version 1.5 --no-default-features --features "$features" \
        --target "$of" --override-filename "$file"
    # Remove the build path.
    sed "s|path+file://$PWD|path+file:///keyfob|g" "$file.json" >"$folder/sbom/$file.json"
    rm "$file.json"
}

rm -rf dist
mkdir -p "$folder/sbom"
cp "$program" README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT "$folder/"
cp -R docs "$folder/docs"
cp scripts/dist/keyfob.service scripts/dist/keyfob.sysusers "$folder/"
KEYFOB_MANUAL="$PWD/$folder" cargo test --quiet --bin keyfob cli::tests::every_command_has >/dev/null
node scripts/dist/licences.js "$target" >"$folder/LICENSES-THIRD-PARTY.txt"
materials keyfob.cdx "$target" ssr
materials keyfob-browser.cdx wasm32-unknown-unknown hydrate
scripts/dist/root.sh "$program" dist

# The same sources give the same bytes: sorted, with the time of the commit, and without users.
time=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
(cd dist && tar --create --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX "$name" |
    gzip -9 --no-name >"$name.tar.gz")
(cd dist && sha256sum "$name.tar.gz" >SHA256SUMS)
