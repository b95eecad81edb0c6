#!/usr/bin/env bash
# Beside the container: tells of a spot interruption, and follows the instance into and out of the warm pool.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

was=$(imds autoscaling/target-lifecycle-state || true)
while sleep 5; do
    if [[ ! -s $run/interrupted ]] && notice=$(imds spot/instance-action); then
        at=$(sed -n 's/.*"time" *: *"\([^"]*\)".*/\1/p' <<<"$notice")
        echo "interrupted: AWS takes this spot instance back at $at" >$run/interrupted
        phase "$(cat $run/phase 2>/dev/null || echo booting)"
    fi
    is=$(imds autoscaling/target-lifecycle-state) || continue
    if [[ $is == Warmed:* && $was == InService ]]; then
        $here/hook.sh || true # back to the pool without a boot: the launch hook waits again, now or soon
        continue
    elif [[ $is == InService && $was == Warmed:* ]]; then
        systemctl restart --no-block easel-replica
    fi
    was=$is
done
