#!/usr/bin/env bash
# Follows gateway.image in the team's configuration: pulls a new one first, then swaps the container.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

systemctl is-active -q easel-gateway || exit 0 # it is on its way, and reads the configuration itself
aws s3 cp --only-show-errors "s3://$BUCKET/$OBJECT" $run/next.json
image=$(python3 -I $here/setting.py $run/next.json "$IMAGE_AT")
[[ $image != "$(docker inspect -f '{{.Config.Image}}' easel)" && $image != "$(cat $run/refused 2>/dev/null)" ]] || exit 0
echo "the gateway goes over to $image"
$here/image.sh "$image"
systemctl restart easel-gateway
