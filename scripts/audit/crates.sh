#!/bin/sh
# Checks licences, bans and sources of the crates of every Cargo.lock here, and known vulnerabilities (RustSec).
# KEYFOB_ADVISORIES says where the advisories come from:
#     (unset)   GitHub; if it cannot be reached, the check fails
#     URL       a git mirror of https://github.com/RustSec/advisory-db
#     offline   nowhere: known vulnerabilities are not checked
set -eu
cd "$(dirname "$0")/../.."
PATH="$PWD/.tools/bin:$PATH"

# deny MANIFEST COMMAND...: runs cargo-deny with the rules of deny.toml.
deny() {
    manifest=$1
    shift
    cargo-deny --log-level error --manifest-path "$manifest" --config deny.toml --all-features "$@"
}

advisories=${KEYFOB_ADVISORIES:-https://github.com/RustSec/advisory-db}
checks="licenses bans sources"
if [ "$advisories" = offline ]; then
    echo "KEYFOB_ADVISORIES=offline: known vulnerabilities are not checked."
else
    checks="$checks advisories"
    # Lets git fetch from the mirror.
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.$advisories.insteadOf" GIT_TERMINAL_PROMPT=0
    export GIT_CONFIG_VALUE_0=https://github.com/RustSec/advisory-db
    deny Cargo.toml fetch db || {
        echo "The advisories cannot be fetched, so known vulnerabilities cannot be checked. Set KEYFOB_ADVISORIES to a git" \
            "mirror of $GIT_CONFIG_VALUE_0, or to 'offline' to go on without this check." >&2
        exit 1
    }
fi

# The manifest has no program; docs/clients.md has it.
client=$(mktemp -d)
trap 'rm -rf "$client"' EXIT
mkdir "$client/src"
: >"$client/src/lib.rs"
cp scripts/clients/reqwest/Cargo.toml scripts/clients/reqwest/Cargo.lock "$client"

for folder in . fuzz examples/own_app "$client"; do
    # shellcheck disable=SC2086 # Each check is one word.
    deny "$folder/Cargo.toml" check $checks
done
