#!/usr/bin/env bash
# Brings the image onto the disk. A digest that is there is the same image; a tag is asked for again.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

systemctl is-active -q docker || {
    command -v docker >/dev/null || try "cannot install docker" dnf -y -q install docker
    try "docker does not start" systemctl enable -q --now docker
}
[[ $# -gt 0 ]] || docker rm -f easel >/dev/null 2>&1 || true # kept until now for its last words
image=${1:-$(setting "$IMAGE_AT")}
good=$(cat $kept/good 2>/dev/null || true)
if [[ $ROLE == gateway && $# == 0 && $good && $image == "$(cat $run/refused 2>/dev/null)" ]]; then
    image=$good # the wanted one did not come up
fi
[[ $# -gt 0 ]] || echo "$image" >$run/image
on_disk() { [[ $1 == *@sha256:* ]] && docker image inspect "$1" >/dev/null 2>&1; }
hold() { [[ $# -gt 0 ]] || echo "$image" >$run/held; } # what a prepared instance keeps on its disk
if on_disk "$image"; then
    hold "$@"
    exit
fi
[[ $# -gt 0 ]] || phase pulling "$image"

# The account's password goes to ECR's own names alone, those of infra/partitions.py.
ecr='^[0-9]{12}\.dkr[.-]ecr(-fips)?\.([a-z0-9-]+)\.(amazonaws\.(com(\.cn)?|eu)|on\.amazonwebservices\.(com\.cn|eu)'
ecr+='|on\.aws(\.ic\.gov|\.scloud|\.hci\.ic\.gov)?|on\.cloud-aws\.adc-e\.uk|cloud\.adc-e\.uk'
ecr+='|c2s\.ic\.gov|sc2s\.sgov\.gov|csp\.hci\.ic\.gov)$'
log_in() {
    local registry='' secret first=${image%%/*}
    [[ $first != *[.:]* || $first == "$image" ]] || registry=$first # without one it is Docker's own
    secret=$(setting container.registry '')
    if [[ $secret ]]; then
        python3 -I $here/secret.py "$secret" username >$run/user || return
        python3 -I $here/secret.py "$secret" password |
            docker login --username "$(<$run/user)" --password-stdin ${registry:+"$registry"} >/dev/null
    elif [[ $registry =~ $ecr ]]; then
        aws ecr get-login-password --region "${BASH_REMATCH[2]}" |
            docker login --username AWS --password-stdin "$registry" >/dev/null
    fi
}
pull() { log_in && timeout 3000 docker pull --quiet "$image"; }
if [[ $ROLE == gateway && $# == 0 && $good != "$image" ]] && on_disk "$good"; then
    # The door opens with what it had; follow.sh asks for the new one again.
    pull || echo "$good" >$run/image
else
    try "cannot pull $image" pull
    hold "$@"
fi
