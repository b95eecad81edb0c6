#!/usr/bin/env bash
# The system's security updates, each night. What they touch is started again at once; the machine, when they ask for
# it, as soon as nobody draws, and after six hours in any case.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

run=$run/patch # not the door's own folder: why this fails is not why the door does
mkdir -p $run
spared=/etc/smart-restart-conf.d/easel-denylist
if [[ ! -s $spared ]]; then
    try "cannot install smart-restart" dnf -y -q install smart-restart
    mkdir -p ${spared%/*}
    # Shells that wait for the container: another bash is no reason to close the door.
    printf 'easel-%s.service\n' follow gateway journal patch >$spared
fi
# Amazon Linux 2023 keeps to the release of its image, where nothing is ever new, unless it is told another.
try "cannot update the system" dnf -y -q upgrade --security --releasever=latest
[[ -e /run/smart-restart/reboot-hint-marker ]] || exit 0
echo "an update asks for a restart: $(tr '\n' ' ' </run/smart-restart/reboot-hint-marker)"
until=$(($(date +%s) + 6 * 3600))
until python3 -I $here/probe.py $config idle || (($(date +%s) > until)); do sleep 60; done
systemctl reboot
