#!/usr/bin/env bash
# Mounts the team's file system: models, and on a replica the endpoint's outputs; there it chooses the cache too.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

mounts() { # mounts NAME…: each access point in its folder
    local name point folder system code limit=180
    [[ $ROLE != gateway ]] || limit=45 # the door waits for it
    command -v mount.efs >/dev/null ||
        try "cannot install amazon-efs-utils" dnf -y -q install amazon-efs-utils
    system=$(setting storage.file_system '')
    for name in "$@"; do
        point=$(setting "storage.$name" '')
        folder=/mnt/easel/$name
        mkdir -p "$folder"
        if [[ ! $system || ! $point ]]; then
            [[ $ROLE != gateway ]] || fail "the configuration names no file system"
            chown 1000:1000 "$folder" # nothing to keep: the root disk will do
        else
            code=0
            timeout -k 5 20 mountpoint -q "$folder" || code=$? # NFS waits for its server for ever
            ((code < 124)) || fail "$name of $system does not answer"
            ((code == 0)) || try "cannot mount $name from $system" timeout -k 5 $limit \
                mount -t efs -o "tls,iam,noresvport,accesspoint=$point" "$system:/" "$folder"
        fi
    done
    chmod 755 /mnt/easel
}

if [[ $ROLE == gateway ]]; then
    # The door stands without the store too. follow.sh tries again; why it is not there, the gateway tells.
    run=$run/store
    mkdir -p $run
    rm -f $run/why
    (mounts models) || true
    exit 0
fi
mounts models outputs

nvme() { # the base image's mount of local NVMe, or one of our own; nothing where there is none
    local folder device code
    for folder in /opt/dlami/nvme /mnt/easel/nvme; do
        if mountpoint -q $folder; then
            echo $folder
            return
        fi
    done
    for device in /dev/disk/by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_*; do
        [[ -b $device && $device != *-part* ]] || continue
        # Two: no file system, partition or volume group. Anything else is somebody's.
        code=0
        blkid -p "$device" >/dev/null || code=$?
        ((code == 2)) || continue
        mkfs.xfs -q "$device" && mkdir -p $folder && mount -o noatime,nodev,nosuid "$device" $folder &&
            echo $folder
        return
    done
}
# NVMe forgets when an instance stops, so warm ones keep their cache on the root disk.
cache=$kept/cache
if [[ $(setting instances.warm 0) == 0 ]]; then
    found=$(nvme) || true
    cache=${found:+$found/easel}
    cache=${cache:-$kept/cache}
fi
mkdir -p "$cache"
chmod 755 $kept "${cache%/*}"
chown 1000:1000 "$cache"
echo "$cache" >$run/cache
