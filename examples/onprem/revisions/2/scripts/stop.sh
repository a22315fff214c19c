#!/bin/sh
# Stops the greeter. Runs when the next revision comes, from this revision.
set -eu
rm -f "$CUTOVER_ROOT/run/page.html"
echo "stopped"
