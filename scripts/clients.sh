#!/bin/sh
# Runs the programs of docs/clients.md, and generates API clients from the OpenAPI document: two in Python and one in TypeScript.
# The Python clients call every kind of operation on a running server; the TypeScript client is type-checked.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/.tools/clients/bin
keyfob=${CARGO_TARGET_DIR:-target}/debug/keyfob
cargo build --quiet --bin keyfob

dir=$(mktemp -d)
server= documents=
stop() {
    [ -z "$documents" ] || kill "$documents" 2>/dev/null || true
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$dir"
}
trap stop EXIT

export DATABASE_URL="sqlite://$dir/keyfob.db"
email=clients@example.com
$keyfob user create --email "$email" --password-stdin 2>/dev/null <<EOT
$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
EOT
make_key() { $keyfob key create --user "$email" --name "$1" --no-expiry 2>/dev/null; }

# If the port is taken, the server exits; try another.
tries=0
until [ -n "$server" ] && "$bin/python" -c "import urllib.request as r; r.urlopen('$origin/readyz')" 2>/dev/null; do
    if [ -z "$server" ] || ! kill -0 "$server" 2>/dev/null; then
        origin="http://127.0.0.1:$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))"
        KEYFOB_ADDR=${origin#http://} KEYFOB_PUBLIC_URL=$origin KEYFOB_LOG=warn KEYFOB_KEY_RATE=100 $keyfob serve 2>"$dir/log" &
        server=$!
    fi
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { cat "$dir/log" >&2; exit 1; }
    sleep 0.2
done
"$bin/python" -c "import urllib.request as r; r.urlretrieve('$origin/api/openapi.json', '$dir/openapi.json')"

# Meanwhile: some of these programs wait for almost a minute, until they have requests again.
"$bin/python" scripts/clients/run_documents.py "$origin" "$keyfob" "$dir/documents" &
documents=$!

# quietly COMMAND...: shows the output only on failure.
quietly() {
    "$@" >"$dir/report" 2>&1 || { cat "$dir/report" >&2; return 1; }
}

echo "openapi-python-client"
quietly "$bin/openapi-python-client" generate --path "$dir/openapi.json" --output-path "$dir/keyfob_client" --meta none \
    --config scripts/clients/openapi-python-client.yml --fail-on-warning
KEYFOB_KEY=$(make_key one) PYTHONPATH=$dir "$bin/python" scripts/clients/call_keyfob_client.py "$origin"

echo "openapi-generator, python"
quietly "$bin/openapi-generator-cli" generate -i "$dir/openapi.json" -g python -o "$dir/python"
KEYFOB_KEY=$(make_key two) PYTHONPATH=$dir/python "$bin/python" scripts/clients/call_openapi_client.py "$origin"

echo "openapi-generator, typescript-fetch"
quietly "$bin/openapi-generator-cli" generate -i "$dir/openapi.json" -g typescript-fetch -o "$dir/typescript"
end2end/node_modules/.bin/tsc --noEmit --strict --target es2022 --lib es2022,dom --module esnext --moduleResolution bundler \
    "$dir/typescript/index.ts"

echo "docs/clients.md: curl, Python, JavaScript, Go, Rust"
wait "$documents"
