#!/usr/bin/env bash
# Watches the container until it answers, then says so. The limit: what a held request waits, at least 15 minutes.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

limit=180
if [[ $ROLE == replica ]]; then
    if warmed; then exit; fi
    limit=$(setting timeouts.wake 900)
    limit=$((limit > 900 ? limit : 900))
fi
ADDRESS=$(imds local-ipv4)
export ADDRESS
said=
until=$(($(date +%s) + limit))
while true; do
    [[ ! -s $run/why ]] || exit 1 # serve.sh has said it
    status=$(docker inspect -f '{{.State.Status}}' easel 2>/dev/null) || status=
    code=1 words="the container is being made"
    if [[ $status == running ]]; then
        code=0
        words=$(python3 -I $here/probe.py $config) || code=$?
    elif [[ $status == exited || $status == dead ]]; then
        fail "$(mortem)"
    fi
    ((code)) || break
    ((code != 3)) || fail "the container says that it failed: $words"
    (($(date +%s) < until)) || fail "no answer within $limit s: $words; $(docker logs --tail 2 easel 2>&1 | tail -c 150)"
    [[ $words == "$said" ]] || phase loading "$words"
    said=$words
    sleep 2
done
rm -f $run/failures
phase ready
docker inspect -f '{{.Config.Image}}' easel | keep good
docker image prune -af >/dev/null || true # older digests, now that nothing goes back to them
