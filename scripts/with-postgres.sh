#!/bin/sh
# Runs a command with TEST_DATABASE_URL set to an empty PostgreSQL server, and takes the server away afterwards:
#     scripts/with-postgres.sh cargo test
# A TEST_DATABASE_URL that is already set is used as it is. Without a command: only sees to it that PostgreSQL is there.
set -eu

if [ -n "${TEST_DATABASE_URL:-}" ]; then
    [ $# -eq 0 ] || exec "$@"
    exit 0
fi

# The folder of the server's programs. Debian keeps them off PATH, one folder for each version.
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

# PostgreSQL refuses to run as root, so root runs it as somebody else.
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

# Not below TMPDIR: the server's user may not be able to go there, and a socket's path has at most 107 bytes.
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

# Other users of this machine can reach a port on loopback, hence a password. md5 because SCRAM's many rounds,
# in a debug build and for each connection, would cost more than many a test.
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "$password" >"$dir/password"
: >"$dir/log"
if [ "$(id -u)" = 0 ]; then chown -R "$user" "$dir"; fi
home=$PWD
cd "$dir"
as_server_user "$bin/initdb" -D "$dir/data" -U postgres -E UTF8 --locale=C --no-sync \
    --auth-local=trust --auth-host=md5 --pwfile="$dir/password" >"$dir/log" 2>&1 || fail

# The port may be taken, also by a second run that starts now: then the server does not start, and we take another.
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

# Not exec: the server has to be stopped afterwards.
TEST_DATABASE_URL="postgres://postgres:$password@127.0.0.1:$port/postgres" "$@"
