#!/bin/sh
# Runs a command that runs the integration tests, and then looks for every secret that they made, keys, passwords, sessions, the
# database's password, in all that was written meanwhile: the log at trace, as text and as JSON, panics, answers, what
# the program printed, and all rows and files of all databases.
#     scripts/leaks.sh cargo test --test it
# A canary that a test leaves in each of these places shows that what is there is found.
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
        echo "No canary was found in $place: nothing is looked for there." >&2
        leaks=1
    fi
    if grep -aFf all "$place" >found; then
        echo "Secrets were written to $place:" >&2
        cut -c1-500 found | head -n 10 >&2
        leaks=1
    fi
done
echo "Looked for $(wc -l <all) secrets in $(du -ch answers files log.json log.txt panics printed rows | tail -n 1 | cut -f1)."
exit "$leaks"
