#!/usr/bin/env bash
# First step of every start: waits longer after each failure, then reads the configuration object.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

failures=$(cat $run/failures 2>/dev/null || echo 0)
if ((failures)); then
    sleep $((failures < 7 ? 5 << (failures - 1) : 300))
    phase booting "start $((failures + 1)), after: $(cat $run/last 2>/dev/null || true)"
else
    phase booting
fi
echo $((failures + 1)) >$run/failures
rm -f $run/why $run/stopping $config.new

fetch() {
    aws s3 cp --only-show-errors "s3://$BUCKET/$OBJECT" $config.new &&
        python3 -I $here/setting.py $config.new "$IMAGE_AT" >/dev/null
}
if [[ $ROLE == gateway && -s $kept/config.json ]]; then
    # The door stands while S3 does not answer: what was read last is good enough to open it.
    fetch || cp $kept/config.json $config.new
else
    try "cannot read s3://$BUCKET/$OBJECT" fetch
fi
mv $config.new $config
[[ $ROLE != gateway ]] || keep config.json <$config
