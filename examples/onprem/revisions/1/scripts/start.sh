#!/bin/sh
# Starts the greeter: from now on the host serves its page.
set -eu
sleep 0.2 # a real service needs a moment as well
"$CUTOVER_ROOT/srv/greeter/bin/greeter" > "$CUTOVER_ROOT/run/page.html"
echo "serving version $(cat "$CUTOVER_ROOT/srv/greeter/site/VERSION")"
