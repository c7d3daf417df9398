#!/bin/sh
# Runs the long form of the fault tests for at most 15 minutes, and prints the results as a table.
set -eu

table=$(mktemp)
trap 'rm -f "$table"' EXIT
export KEYFOB_FAULTS_TABLE=$table
status=0
timeout 900 scripts/with-postgres.sh sh -c '
    status=0
    cargo test --test cluster faults -- --nocapture --test-threads=1 || status=$?
    cargo test --test faults -- --nocapture --test-threads=1 || status=$?
    scripts/schemathesis.sh || status=$?
    exit "$status"' || status=$?
printf '\n%-66s  %s\n' 'fault' 'outcome'
awk -F '\t' '{ printf "%-66s  %s\n", $1, $2 }' "$table"
case $status in
    0) ;;
    124) echo 'Not finished within 15 minutes.' >&2 ;;
    *) echo 'Some tests failed: see above.' >&2 ;;
esac
exit "$status"
