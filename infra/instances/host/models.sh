#!/usr/bin/env bash
# Fetches the endpoint's models to the store. s3:// is the host's, whose role may read it; all else is left to a
# container of the image, which has no role.
# shellcheck source-path=SCRIPTDIR source=host.sh
. /opt/easel/host.sh

umask 022 # what is in the store, the containers' users read
store=/mnt/easel/models
others=()
mapfile -t models < <(setting models '')

fetch() { # fetch BUCKET KEY FILE: whole or not at all; one host of several does it
    local facts size part
    part=$3.$(instance).part
    facts=$(aws s3api head-object --bucket "$1" --key "$2" --query '[ContentLength,ETag]' --output text) || return
    size=${facts%%[[:space:]]*}
    exec 9>"$3.lock"
    flock -w 3600 9 || { echo "another replica has been fetching it for an hour" >&2; return 1; }
    [[ ! -f $3 || $(cat "$3.s3" 2>/dev/null) != "$facts" || $(stat -c %s "$3") != "$size" ]] || return 0
    rm -f "$3".i-*.part # whose host died
    aws s3 cp --only-show-errors "s3://$1/$2" "$part" >&2 || return
    [[ $(stat -c %s "$part") == "$size" ]] || { echo "it came with another length" >&2; return 1; }
    chmod 644 "$part"
    mv "$part" "$3"
    echo "$facts" >"$3.s3"
}

for source in "${models[@]}"; do
    case $source in
    s3://*)
        type=$(sed -n 's/.*[?&]type=\([a-z]*\).*/\1/p' <<<"$source")
        case ${type:-checkpoint} in
        checkpoint) folder=Stable-diffusion ;;
        lora) folder=Lora ;;
        vae) folder=VAE ;;
        embedding) folder=embeddings ;;
        upscaler) folder=ESRGAN ;;
        controlnet) folder=ControlNet ;;
        *) fail "$source: $type is no kind of model" ;;
        esac
        path=${source#s3://}
        path=${path%%\?*}
        phase pulling "the model ${path##*/}"
        mkdir -p "$store/$folder"
        try "cannot fetch $source" fetch "${path%%/*}" "${path#*/}" "$store/$folder/${path##*/}"
        ;;
    ?*) others+=("$source") ;;
    esac
done

own=$(setting container.load)
if ((${#others[@]})); then
    [[ $own == easel ]] || fail "an own container gets its models from s3:// only, not from ${others[0]}"
    phase pulling "${#others[@]} models"
    docker rm -f easel-models >/dev/null 2>&1 || true
    told=$(date +%s)
    python3 -I $here/container.py models 2>&1 | tee $run/said | while IFS= read -r line; do
        echo "$line"
        (($(date +%s) < told + 20)) || { phase pulling "$line" && told=$(date +%s); }
    done || fail "cannot fetch the models: $(tail -n 2 $run/said)"
fi

# An empty store gets the starter of the image, so that the first picture needs no download.
if [[ $own == easel && ! $(find $store -name '*.safetensors' -print -quit) ]]; then
    # shellcheck disable=SC2016 # the container's shell expands it
    try "cannot place the starter" docker run --rm --pull never --network none --read-only --cap-drop ALL \
        --security-opt no-new-privileges --user 1000:1000 --mount type=bind,source=$store,target=/models \
        "$(setting container.image)" sh -c 'cd /easel/models && find . -name "*.safetensors" | while read -r file; do
            mkdir -p "/models/${file%/*}" && cp "$file" "/models/$file.$$.part" && mv "/models/$file.$$.part" "/models/$file" || exit
        done'
fi
