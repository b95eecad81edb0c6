#!/usr/bin/env bash
# Ends the container on purpose: SIGTERM, and what it has to end in some ten seconds is its own.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

[[ $(docker inspect -f '{{.State.Running}}' easel 2>/dev/null) == true ]] || exit 0
touch $run/stopping
docker stop -t 20 easel >/dev/null
