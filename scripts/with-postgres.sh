#!/bin/sh
# Runs a command with TEST_DATABASE_URL set to an empty PostgreSQL server, and removes the server afterwards:
#     scripts/with-postgres.sh cargo test
# Uses a TEST_DATABASE_URL that is already set. Without a command, only checks that PostgreSQL is installed.
set -eu

if [ -n "${TEST_DATABASE_URL:-}" ]; then
    [ $# -eq 0 ] || exec "$@"
    exit 0
fi

# Finds the folder of the server's programs. Debian keeps them off PATH, one folder per version.
find_programs() {
    initdb=$(command -v initdb || true)
    for dir in "${initdb:+$(dirname "$(readlink -f "$initdb")")}" "$(pg_config --bindir 2>/dev/null || true)" \
        $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5nr); do
        if [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ] && [ -x "$dir/postgres" ]; then
            echo "$dir"
            return
        fi
    done
}

bin=$(find_programs)
if [ -z "$bin" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing PostgreSQL for the tests" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql; } >&2 ||
        true
    bin=$(find_programs)
fi
if [ -z "$bin" ]; then
    echo "The tests need PostgreSQL: install its server (Debian: postgresql), or set TEST_DATABASE_URL to an empty one." >&2
    exit 1
fi
[ $# -gt 0 ] || exit 0

# PostgreSQL refuses to run as root, so root runs it as another user.
as_server_user() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    user=nobody
    if id postgres >/dev/null 2>&1; then user=postgres; fi
    as_server_user() {
        if command -v setpriv >/dev/null; then
            setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@"
        else
            su -s /bin/sh "$user" -c 'exec "$0" "$@"' -- "$@"
        fi
    }
fi

# Not below TMPDIR: the server's user may have no access, and a socket path has at most 107 bytes.
dir=$(mktemp -d /tmp/keyfob-postgres.XXXXXX)
stop() {
    status=$?
    trap - EXIT INT TERM HUP
    as_server_user "$bin/pg_ctl" stop -D "$dir/data" -m immediate -s >/dev/null 2>&1 || true
    cd /
    rm -rf "$dir"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fail() {
    echo "The private PostgreSQL server did not start:" >&2
    tail -n 20 "$dir/log" >&2
    exit 1
}

# A password, because other users of this machine can reach the port. md5, because SCRAM is slow in a debug build, for each
# connection.
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "$password" >"$dir/password"
: >"$dir/log"
if [ "$(id -u)" = 0 ]; then chown -R "$user" "$dir"; fi
home=$PWD
cd "$dir"
as_server_user "$bin/initdb" -D "$dir/data" -U postgres -E UTF8 --locale=C --no-sync \
    --auth-local=trust --auth-host=md5 --pwfile="$dir/password" >"$dir/log" 2>&1 || fail

# If the port is taken, the server does not start; try another.
tries=0
while :; do
    port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
    if as_server_user "$bin/pg_ctl" start -D "$dir/data" -l "$dir/log" -w -s -o "-c listen_addresses=127.0.0.1 \
        -c port=$port -c unix_socket_directories=$dir -c max_connections=200 -c fsync=off \
        -c synchronous_commit=off -c full_page_writes=off" >/dev/null 2>&1; then break; fi
    tries=$((tries + 1))
    [ "$tries" -lt 5 ] || fail
done
cd "$home"

# Not exec, so that the trap stops the server.
TEST_DATABASE_URL="postgres://postgres:$password@127.0.0.1:$port/postgres" "$@"
