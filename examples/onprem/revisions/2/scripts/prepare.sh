#!/bin/sh
# Makes the directory that the greeter writes to. It is not part of the revision.
set -eu
mkdir -p "$CUTOVER_ROOT/run"
echo "ready for $APPLICATION_NAME, deployment $DEPLOYMENT_ID"
