#!/usr/bin/env bash
# Follows gateway.image in the team's configuration: pulls a new one first, then swaps the container.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

systemctl is-active -q easel-gateway || exit 0 # it is on its way, and reads the configuration itself
aws s3 cp --only-show-errors "s3://$BUCKET/$OBJECT" $run/next.json
if [[ -s $run/store/why ]]; then
    cp $run/next.json $config # what was read at the start may not have named the store yet
    $here/storage.sh
    # A container sees what was mounted before it was made.
    [[ -s $run/store/why ]] || systemctl restart easel-gateway
fi
image=$(python3 -I $here/setting.py $run/next.json "$IMAGE_AT")
[[ $image != "$(docker inspect -f '{{.Config.Image}}' easel)" && $image != "$(cat $run/refused 2>/dev/null)" ]] || exit 0
echo "the gateway goes over to $image"
$here/image.sh "$image"
systemctl restart easel-gateway
