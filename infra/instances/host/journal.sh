#!/usr/bin/env bash
# Ships what the host's units say, beside the container's stream.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

exec python3 -I $here/journal.py "$LOG_GROUP" "$(instance)/host"
