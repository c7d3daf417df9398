#!/bin/sh
# Runs a command with PgBouncer (transaction mode) in front of the server of TEST_DATABASE_URL, and stops it afterwards:
#     scripts/with-postgres.sh scripts/with-pgbouncer.sh cargo test --test it postgres -- --test-threads=4
set -eu

url=${TEST_DATABASE_URL:?run this with scripts/with-postgres.sh}
# postgres://user:password@host:port/name
rest=${url#*://}
login=${rest%%@*}
place=${rest#*@}
place=${place%%/*}

program=$(command -v pgbouncer || echo /usr/sbin/pgbouncer)
[ -x "$program" ] || { echo "PgBouncer is missing: install it (Debian: apt-get install pgbouncer)." >&2; exit 1; }

# PgBouncer refuses to run as root.
as_server_user() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    as_server_user() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
fi

dir=$(mktemp -d /tmp/keyfob-pgbouncer.XXXXXX)
stop() {
    status=$?
    trap - EXIT INT TERM HUP
    kill "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null || true
    rm -rf "$dir"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Idle sessions end after a second, because PostgreSQL cannot copy a database with open sessions. Each test has its own database
# and pool. The tests' own driver sends extra_float_digits.
port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
cat >"$dir/pgbouncer.ini" <<EOF
[databases]
* = host=${place%%:*} port=${place##*:} user=${login%%:*} password=${login#*:}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 1000
server_idle_timeout = 1
ignore_startup_parameters = extra_float_digits
pidfile = $dir/pid
logfile = $dir/log
EOF
if [ "$(id -u)" = 0 ]; then chown -R postgres "$dir"; fi
as_server_user "$program" -q -d "$dir/pgbouncer.ini"

TEST_DATABASE_URL="postgres://$login@127.0.0.1:$port/postgres" "$@"
