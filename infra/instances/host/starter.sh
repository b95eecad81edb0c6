#!/usr/bin/env bash
# Places the image's starter in an empty store, so that the first picture needs no download. All other models are
# there already: the gateway fetches them before it wakes anything.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

store=/mnt/easel/models
[[ $(setting container.load) == easel && ! $(find $store -name '*.safetensors' -print -quit) ]] || exit 0
# shellcheck disable=SC2016 # the container's shell expands it
try "cannot place the starter" docker run --rm --pull never --network none --read-only --cap-drop ALL \
    --security-opt no-new-privileges --user 1000:1000 --mount type=bind,source=$store,target=/models \
    "$(setting container.image)" sh -c 'cd /easel/models && find . -name "*.safetensors" | while read -r file; do
        mkdir -p "/models/${file%/*}" && cp "$file" "/models/$file.$$.part" && mv "/models/$file.$$.part" "/models/$file" || exit
    done'
