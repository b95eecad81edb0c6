#!/usr/bin/env bash
# After every end of the service: what failed goes into the tags. systemd starts it again.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

# A start that failed skips stop.sh, and the container outlives serve.sh.
docker stop -t 15 easel >/dev/null 2>&1 || true

if [[ -e $run/stopping || (${SERVICE_RESULT-} == success && ! -s $run/why) ]]; then
    rm -f $run/stopping $run/why
    exit
fi
why=$(cat $run/why 2>/dev/null || true)
if [[ ! $why ]]; then
    why="a step ended with ${SERVICE_RESULT-} ${EXIT_STATUS-} while $(cat $run/phase 2>/dev/null || true)"
fi
rm -f $run/why
echo "$why" >$run/last
if [[ $ROLE == gateway ]]; then
    # A new image that does not come up gives way to the one that did; a reboot tries it once more.
    image=$(docker inspect -f '{{.Config.Image}}' easel 2>/dev/null || true)
    [[ ! $image || ! -s $kept/good || $image == "$(<$kept/good)" ]] || echo "$image" >$run/refused
fi
phase failed "$why"
