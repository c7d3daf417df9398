#!/bin/sh
# Builds the image of Containerfile with a program, and runs it as compose.yaml does: as an unprivileged user, without capabilities,
# with a read-only root, behind Caddy with ops/Caddyfile. Says so in one line where containers cannot run.
#     scripts/dist/container.sh [PROGRAM]
set -eu
cd "$(dirname "$0")/../.."
program=${1:-${CARGO_TARGET_DIR:-target}/debug/keyfob}
PATH="$PATH:/usr/sbin"

command -v podman >/dev/null || { echo "Container: not tested, because podman is missing."; exit 0; }

dir=$(mktemp -d)
name=keyfob-test-$$
caddy=
stop() {
    [ -z "$caddy" ] || kill "$caddy" 2>/dev/null || true
    podman rm --force --time 1 --volumes "$name" >/dev/null 2>&1 || true
    podman volume rm --force "$name" >/dev/null 2>&1 || true
    podman rmi --force "localhost/$name" >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap stop EXIT
fail() {
    echo "Container: $*" >&2
    podman logs "$name" >&2 2>/dev/null || true
    if [ -s "$dir/caddy.log" ]; then tail -n 3 "$dir/caddy.log" >&2; fi
    exit 1
}

scripts/dist/root.sh "$program" "$dir/dist"
if ! podman build --isolation chroot --format docker --tag "localhost/$name" --file Containerfile "$dir" >"$dir/log" 2>&1; then
    if ! printf 'FROM scratch\nCOPY log /\n' | podman build --isolation chroot --tag "localhost/$name" --file - "$dir" >/dev/null 2>&1; then
        echo "Container: not tested, because podman builds no image here: $(tail -n 1 "$dir/log")"
        exit 0
    fi
    cat "$dir/log" >&2
    exit 1
fi

# Without the capability to raise limits, and with control groups of version 1, only the second works.
for options in "" "--runtime=runc --ulimit=nofile=4096:4096 --ulimit=nproc=4096:4096"; do
    # shellcheck disable=SC2086 # Options are words.
    if podman run --rm $options --network=none "localhost/$name" --version >"$dir/log" 2>&1; then
        runs=yes
        break
    fi
done
[ -n "${runs:-}" ] || { echo "Container: built, but not run, because podman cannot: $(tail -n 1 "$dir/log")"; exit 0; }

# run OPTION......: runs it like compose.yaml.
run() {
    # shellcheck disable=SC2086
    podman run --name "$name" --replace $options --network=host --read-only --read-only-tmpfs=false --cap-drop=all \
        --security-opt=no-new-privileges --volume "$name:/data" --env "KEYFOB_ADDR=127.0.0.1:$port" --env KEYFOB_LOG=warn \
        --env KEYFOB_PUBLIC_URL="https://localhost:$https" --env KEYFOB_TRUSTED_PROXIES=127.0.0.1 "$@" >"$dir/run" 2>&1
}
free_port() { echo $((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000)); }
# until_true COMMAND...: fails after 20 seconds.
until_true() {
    tries=0
    until "$@" >"$dir/tried" 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || fail "$(tail -n 3 "$dir/tried")"
        sleep 0.2
    done
}

port=$(free_port) https=$(free_port) http=$(free_port)
run --detach "localhost/$name" || fail "$(cat "$dir/run")"
until_true podman exec "$name" keyfob healthcheck --ready
podman healthcheck run "$name" >/dev/null || fail "its health check fails."

status=/proc/$(podman inspect --format '{{.State.Pid}}' "$name")/status
[ "$(podman inspect --format '{{.Config.User}}' "$name")" = 65532:65532 ] || fail "it runs as another user than 65532."
if grep -q "^Uid:	$(id -u)	" "$status"; then fail "it runs as the user who started it."; fi
grep -q '^CapEff:	0*$' "$status" || fail "it has capabilities."

password="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
echo "$password" | podman exec --interactive "$name" keyfob user create --email c@example.com --password-stdin 2>/dev/null
key=$(podman exec "$name" keyfob key create --user c@example.com --name c --no-expiry 2>/dev/null)

# Caddy, with the ports and the certificate of a test.
{
    printf '{\n\tadmin off\n\tauto_https disable_redirects\n\tlocal_certs\n\tskip_install_trust\n\thttp_port %s\n\thttps_port %s\n}\n' "$http" "$https"
    sed "s/keyfob:8000/127.0.0.1:$port/" ops/Caddyfile
} >"$dir/Caddyfile"
HOME=$dir XDG_DATA_HOME=$dir KEYFOB_DOMAIN=localhost caddy run --adapter caddyfile --config "$dir/Caddyfile" >"$dir/caddy.log" 2>&1 &
caddy=$!
until_true curl --silent --fail --insecure "https://localhost:$https/healthz"
answer=$(curl --silent --include --insecure "https://localhost:$https/sign-in")
echo "$answer" | grep -qi '^strict-transport-security:' || fail "no Strict-Transport-Security behind Caddy: $answer"
status_of() { curl --silent --insecure --output /dev/null --write-out '%{http_code} %{redirect_url}' "$@"; }
[ "$(status_of --header "X-Api-Key: $key" "https://localhost:$https/api/v1/me")" = "200 " ] || fail "a key does not work behind Caddy."
[ "$(status_of --header "X-Api-Key: $key" "http://localhost:$http/api/v1/me")" = "403 " ] || fail "the API answers over http."
[ "$(status_of "http://localhost:$http/sign-in")" = "301 https://localhost/sign-in" ] || fail "pages are not redirected to https."

# A program without its site warns of three files.
if podman logs "$name" 2>&1 | grep -E ' (WARN|ERROR) ' | grep -v ': no keyfob\.'; then fail "it logged a problem."; fi
began=$(date +%s)
podman stop --time 30 "$name" >/dev/null 2>&1
[ "$(podman inspect --format '{{.State.ExitCode}}' "$name")" = 0 ] || fail "SIGTERM did not end it cleanly."
[ $(($(date +%s) - began)) -lt 20 ] || fail "SIGTERM did not end it within 20 seconds."
run "localhost/$name" user list || fail "$(cat "$dir/run")"
grep -q c@example.com "$dir/run" || fail "its data is lost with the container."
echo "Container: built and run with a read-only root as user 65532; healthy, reached through Caddy, ended by SIGTERM."
