#!/bin/sh
# Looks at the page as a visitor would.
set -eu
page="$CUTOVER_ROOT/run/page.html"
cat "$page"
if ! grep -q '<h1>..*</h1>' "$page"; then
	echo "the page greets nobody" >&2
	exit 1
fi
