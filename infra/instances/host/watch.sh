#!/usr/bin/env bash
# Beside the container: tells of a spot interruption, follows the instance into and out of the warm pool, keeps
# the launch hook waiting while the image is on its way, and follows the gateway's keys.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

was=$(imds autoscaling/target-lifecycle-state || true)
beat=$(date +%s)
looked=$beat
while sleep 5; do
    if [[ -d $run/keys ]] && (($(date +%s) > looked + 55)); then
        looked=$(date +%s)
        keys || true # those that are known stay
    fi
    if [[ $(cat $run/phase 2>/dev/null || true) == pulling ]] && (($(date +%s) > beat + 240)); then
        beat=$(date +%s)
        aws autoscaling record-lifecycle-action-heartbeat --instance-id "$(instance)" \
            --auto-scaling-group-name "$(setting instances.group)" \
            --lifecycle-hook-name "$(setting instances.hook)" || true # nobody waits after a restart
    fi
    if [[ ! -s $run/interrupted ]] && notice=$(imds spot/instance-action); then
        at=$(sed -n 's/.*"time" *: *"\([^"]*\)".*/\1/p' <<<"$notice")
        echo "interrupted: AWS takes this spot instance back at $at" >$run/interrupted
        phase "$(cat $run/phase 2>/dev/null || echo booting)"
    fi
    is=$(imds autoscaling/target-lifecycle-state) || continue
    if [[ $is == Warmed:* && $was == InService ]]; then
        # Back to the pool without a boot: the launch hook waits again, now or soon.
        $here/hook.sh || rm -f $run/why
        continue
    elif [[ $is == InService && $was == Warmed:* ]]; then
        systemctl restart --no-block easel-replica
    fi
    was=$is
done
