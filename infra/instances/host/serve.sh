#!/usr/bin/env bash
# Runs the replica's container until it ends. Whoever ends it by stop.sh meant it; any other end is a failure.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

if warmed; then
    exec sleep infinity # prepared; AWS stops the instance
fi
phase loading "starting the container"
[[ $(setting container.load) != easel ]] || try "cannot read s3://$BUCKET/run/keys.json" keys
try "cannot make the container" python3 -I $here/container.py "$(imds local-ipv4)" >/dev/null
try "cannot start the container" docker start easel >/dev/null
docker wait easel >/dev/null
[[ -e $run/stopping ]] || fail "$(mortem)"
