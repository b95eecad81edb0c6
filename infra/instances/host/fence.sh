#!/usr/bin/env bash
# Fences the container in: it runs people's models. The public internet and names are open to it; what the VPC reaches
# (peers, an office, the gateway's inside), metadata services and this host are not.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

# Where Docker leaves room for rules of others. Without it these would be where nothing passes.
try "docker leaves no chain DOCKER-USER to fence the container in by" iptables -C FORWARD -j DOCKER-USER
fence() {
    echo '*filter'
    echo ':DOCKER-USER - [0:0]' # empties it: each start writes the same
    echo '-A DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN'
    printf -- '-A DOCKER-USER -i docker0 -p %s --dport 53 -j RETURN\n' udp tcp
    # As infra/namespace/policies.py has them.
    printf -- '-A DOCKER-USER -i docker0 -d %s -j REJECT\n' \
        10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16
    echo COMMIT
}
fence | try "cannot fence the container in" iptables-restore --noflush
host=(INPUT -i docker0 -m conntrack --ctstate NEW -j REJECT)
iptables -C "${host[@]}" 2>/dev/null || try "cannot close this host to the container" iptables -I "${host[@]}"
