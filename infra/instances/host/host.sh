# shellcheck shell=bash
# What every step of a host shares. Sourced by the steps beside it, never run by itself.
set -euo pipefail
# The facts: ROLE AWS_DEFAULT_REGION BUCKET OBJECT IMAGE_AT LOG_GROUP, and VOLUME of the gateway.
set -a
# shellcheck source=/dev/null
. /etc/easel/facts
set +a
here=/opt/easel
run=/run/easel        # memory: gone at the next boot
kept=/var/lib/easel   # the root disk: stays while a warm instance is stopped
config=$run/config.json
# Credentials of registries stay in memory.
export AWS_PAGER='' AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=4 DOCKER_CONFIG=$run/docker
umask 077
mkdir -p "$run" "$kept"

imds() { # imds PATH: what the instance metadata service says; only a token opens it
    local at=http://169.254.169.254/latest token
    token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' $at/api/token) || return 1
    curl -sf -m 5 -H "X-aws-ec2-metadata-token: $token" "$at/meta-data/$1"
}

instance() { # the instance's own id
    [[ -s $run/instance ]] || imds instance-id >"$run/instance" || return 1
    cat "$run/instance"
}

warmed() { # is the instance meant for the warm pool, to be stopped as soon as it is prepared?
    [[ $(imds autoscaling/target-lifecycle-state || true) == Warmed:* ]]
}

setting() { python3 -I $here/setting.py "$config" "$@"; } # setting a.b.c [DEFAULT]

worded() { # worded TEXT: in the letters that every AWS service takes in a tag; none needs escaping in JSON
    printf %s "$1" | LC_ALL=C tr -c 'A-Za-z0-9 _.:/=+@-' ' ' | tr -s ' ' | cut -c1-256
}

tag() { printf '{"Key":"easel:%s","Value":"%s"}' "$1" "$(worded "$2")"; } # tag NAME VALUE

phase() { # phase NAME [WHY]: says it, and tags the instance. Never fails: a host that cannot tag still serves.
    local name=$1 why=${2-}
    [[ ! -s $run/interrupted ]] || why=$(<"$run/interrupted")
    why=$(worded "$why")
    echo "$name: $why"
    echo "$name" >"$run/phase"
    [[ $ROLE == replica ]] || return 0 # only replicas are watched by their tags
    timeout 60 aws ec2 create-tags --resources "$(instance || true)" --tags \
        "[$(tag phase "$name"),$(tag why "$why")$([[ ! -s $run/held ]] || echo ",$(tag image "$(<$run/held)")")]" ||
        echo "the instance could not be tagged"
}

fail() { # fail SENTENCE: ends the step; ended.sh tags the sentence
    printf '%s' "$*" >"$run/why"
    echo "$*" >&2
    exit 1
}

try() { # try SENTENCE COMMAND…: a command whose last words explain its failure
    local sentence=$1
    shift
    "$@" 2>"$run/said" || fail "$sentence: $(grep -v '^ *$' "$run/said" | tail -n 1)"
}

keep() { # keep NAME: what comes in, whole or as it was. Never fails: a full disk closes no door.
    { cat >"$kept/.$1" && mv "$kept/.$1" "$kept/$1"; } || echo "$1 could not be kept"
}

keys() { # the gateway's public keys, in a folder that the container sees
    mkdir -p $run/keys
    aws s3 cp --only-show-errors "s3://$BUCKET/run/keys.json" $run/keys.new || return 1
    chmod 755 $run/keys
    chmod 644 $run/keys.new
    mv $run/keys.new $run/keys/keys.json
}

mortem() { # why the container is no longer running
    local state
    state=$(docker inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Error}}' easel 2>&1) || true
    [[ $state != *' true '* ]] || state="$state out of main memory"
    echo "the container ended, code $state: $(docker logs --tail 3 easel 2>&1 | tail -c 180 || true)"
}
