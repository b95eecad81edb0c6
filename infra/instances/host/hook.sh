#!/usr/bin/env bash
# Completes the launch hook. `early`: an instance that was prepared in the warm pool and is wanted now.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

[[ ${1-} != early || -e $kept/prepared ]] || exit 0
if [[ ${1-} == early ]] && warmed; then exit 0; fi
touch $kept/prepared
if warmed; then phase pulling "prepared: stopped until somebody draws"; fi

complete() {
    aws autoscaling complete-lifecycle-action --lifecycle-action-result CONTINUE \
        --auto-scaling-group-name "$(setting instances.group)" \
        --lifecycle-hook-name "$(setting instances.hook)" --instance-id "$(instance)"
}
# At a restart nobody waits for the hook any more, and AWS says so.
complete 2>$run/said || grep -q 'No active Lifecycle Action' $run/said ||
    fail "cannot complete the launch hook: $(tail -n 1 $run/said)"
