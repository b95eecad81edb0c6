#!/usr/bin/env bash
# Mounts the gateway's data volume at /data, and formats it only when there is nothing at all on it: the
# certificates there are worth more than a start that needs no hand.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

if ! mountpoint -q /data; then
    # Nitro gives the volume's id as the disk's serial number, without its hyphen.
    device=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${VOLUME/-/}
    until=$(($(date +%s) + 300))
    until [[ -b $device ]]; do
        (($(date +%s) < until)) || fail "the data volume $VOLUME is not attached"
        sleep 3
    done
    # blkid: 0 it knows what is there, 2 it found nothing, anything else it is not sure.
    code=0
    kind=$(blkid -p -o value -s TYPE "$device") || code=$?
    if ((code == 2)); then
        bytes=$(head -c 1048576 "$device" | tr -d '\0' | wc -c) # a new volume is all zeros
        ((bytes == 0)) || fail "the data volume $VOLUME holds something that is not known, and is left as it is"
        # Without -f, mkfs looks once more and refuses what holds a file system.
        try "cannot format the data volume $VOLUME" mkfs.xfs -q -L easel-data "$device"
    elif ((code)) || [[ ! $kind ]]; then
        fail "the data volume $VOLUME holds something that is no file system, and is left as it is"
    fi
    mkdir -p /data
    try "cannot mount the data volume $VOLUME" mount -o noatime,nodev,nosuid "$device" /data
    ! command -v xfs_growfs >/dev/null || xfs_growfs /data >/dev/null || true
fi
install -d -m 755 /data
install -d -o 1000 -g 1000 -m 700 /data/easel
