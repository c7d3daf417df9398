#!/bin/sh
# Runs the given test command, then searches everything it wrote for the secrets that the tests made:
#     scripts/leaks.sh cargo test --test it
# Secrets are keys, passwords, sessions and the database password. The search covers the trace log (text and JSON), panics,
# answers, printed output, and all rows and files of all databases. Each test leaves a canary in these places, which shows that
# the search works.
set -eu
LC_ALL=C
export LC_ALL
KEYFOB_TRAIL=$(mktemp -d)
export KEYFOB_TRAIL
trap 'rm -rf "$KEYFOB_TRAIL"' EXIT

"$@"

cd "$KEYFOB_TRAIL"
sort -u secrets >all
leaks=0
for place in answers files log.json log.txt panics printed rows; do
    if ! grep -aqFf canaries "$place"; then
        echo "No canary in $place: the search does not work there." >&2
        leaks=1
    fi
    if grep -aFf all "$place" >found; then
        echo "Secrets were written to $place:" >&2
        cut -c1-500 found | head -n 10 >&2
        leaks=1
    fi
done
echo "Searched for $(wc -l <all) secrets in $(du -ch answers files log.json log.txt panics printed rows | tail -n 1 | cut -f1)."
exit "$leaks"
