#!/usr/bin/env bash
# Runs the gateway's container until it ends.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

phase loading "starting the gateway"
# The host's network: Caddy sees callers' addresses, and the gateway has the instance's role (hop limit 1).
# Docker gives a user other than root no use of added capabilities, so the host lets anybody have port 80 and up.
sysctl -qw net.ipv4.ip_unprivileged_port_start=80
store=(--mount "type=bind,source=/mnt/easel/models,target=/data/easel/models")
[[ ! -s $run/store/why ]] || store=(--env "EASEL_NO_STORE=$(<$run/store/why)")
try "cannot make the container" docker create --name easel --pull never --network host --user 1000:1000 \
    --read-only --tmpfs /tmp:rw,nosuid,nodev,mode=1777 --cap-drop ALL --security-opt no-new-privileges \
    --mount type=bind,source=/data/easel,target=/data/easel "${store[@]}" --env HOME=/tmp \
    --log-driver local --log-opt mode=non-blocking --log-opt max-size=20m --log-opt max-file=3 \
    "$(<$run/image)" python -m easel.gateway --home /data/easel --bucket "$BUCKET" --region "$AWS_DEFAULT_REGION" \
    >/dev/null
try "cannot start the container" docker start easel >/dev/null
docker wait easel >/dev/null
[[ -e $run/stopping ]] || fail "$(mortem)"
