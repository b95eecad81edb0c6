#!/usr/bin/env bash
# Ships what the container says and what the host's units say.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

exec python3 -I $here/journal.py "$LOG_GROUP" "$(instance)"
