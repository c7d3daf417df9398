#!/bin/sh
# Calls every operation of the OpenAPI document with valid and invalid data, with a key and with a session. Fails on a 5xx and on
# any answer that the document doesn't allow. The requests are the same in each run; `make test-faults` sends more, at random.
set -eu
cd "$(dirname "$0")/.."
tools=.tools/schemathesis/bin
keyfob=target/debug/keyfob
cargo build --quiet --bin keyfob

dir=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$dir"
}
trap stop EXIT

export DATABASE_URL="sqlite://$dir/keyfob.db"
export KEYFOB_KEYS="$dir/keys" KEYFOB_EMPLOYEES="$dir/employees"
email=fuzz@example.com
password="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
$keyfob user create --email "$email" --password-stdin 2>/dev/null <<EOT
$password
EOT
$keyfob seed --users 1 --keys-per-user 400 --employees-per-user 1 >"$KEYFOB_KEYS" 2>/dev/null
key=$($keyfob key create --user "$email" --name fuzzing --no-expiry 2>/dev/null)

# If the port is taken, the server exits; try another.
tries=0
until [ -n "$server" ] && "$tools/python" -c "import requests; requests.get('$origin/readyz').raise_for_status()" 2>/dev/null; do
    if [ -z "$server" ] || ! kill -0 "$server" 2>/dev/null; then
        origin="http://127.0.0.1:$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))"
        KEYFOB_ADDR=${origin#http://} KEYFOB_PUBLIC_URL=$origin KEYFOB_TRUSTED_PROXIES=127.0.0.1 KEYFOB_LOG=warn \
            $keyfob serve 2>"$dir/log" &
        server=$!
    fi
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { cat "$dir/log" >&2; exit 1; }
    sleep 0.2
done
session=$("$tools/python" scripts/schemathesis/prepare.py "$origin" "$email" "$password" "$KEYFOB_EMPLOYEES")

config=scripts/schemathesis/schemathesis.toml
if [ -n "${KEYFOB_FAULTS_TABLE-}" ]; then
    sed 's/^max-examples = .*/max-examples = 180/; s/^deterministic = .*/deterministic = false/' "$config" >"$dir/config.toml"
    config=$dir/config.toml
fi

status=0 calls=0
# call NAME ARGUMENT...: calls the operations that the arguments select.
call() {
    echo "$1"
    shift
    if "$tools/schemathesis" --config-file "$config" run "$origin/api/openapi.json" --no-color \
        "$@" >"$dir/report" 2>&1; then
        sed -n '/^API Operations:/,$p' "$dir/report"
        calls=$((calls + $(sed -n 's/^ *\([0-9]*\) generated.*/\1/p' "$dir/report")))
    else
        status=1
        cat "$dir/report"
    fi
}
call "With a key" --header "X-Api-Key: $key" --exclude-operation-id key_destroy --exclude-operation-id key_rotate
call "With a session" --header "Cookie: keyfob_session=$session"
# The calls above check missing credentials. Here every call has one, even where a check removes it.
export KEYFOB_SPEND=yes
call "What ends a key" --include-operation-id key_destroy --include-operation-id key_rotate --exclude-checks ignored_auth

# Internal errors appear only in the log.
if grep -q ' ERROR \|panicked' "$dir/log"; then
    cat "$dir/log" >&2
    status=1
fi
if [ -n "${KEYFOB_FAULTS_TABLE-}" ]; then
    [ "$status" -ne 0 ] || found=", none answered with 5xx or in a way that the description does not allow"
    printf 'all operations by their description, with a key and a session\t%s calls%s\n' "$calls" "${found-: see above}" \
        >>"$KEYFOB_FAULTS_TABLE"
fi
exit "$status"
