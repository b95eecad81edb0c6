#!/bin/sh
# Builds both images of image/Dockerfile on this machine, with docker or buildah, whichever is there. Where packages
# come from is what pip is told here (pip.conf, PIP_CONFIG_FILE); it goes in as a secret and is in no image.
set -eu
cd "$(dirname "$0")/.."
fail() {
    echo "easel: $*" >&2
    exit 2
}

if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    tool=docker
    set -- docker build --provenance=false
elif command -v buildah >/dev/null; then
    tool=buildah
    # The format of OCI has no health checks.
    set -- buildah bud --format docker --layers
else
    fail "building an image takes docker (running) or buildah: install one, or let the team's account build: image: build"
fi
if [ -n "${BASE:-}" ]; then set -- "$@" --build-arg "BASE=$BASE"; fi
for settings in "${PIP_CONFIG_FILE:-}" "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" /etc/pip.conf; do
    if [ -n "$settings" ] && [ -f "$settings" ]; then
        set -- "$@" --secret "id=pip,src=$settings"
        break
    fi
done
if [ -n "${PIP_CERT:-}" ] && [ -f "$PIP_CERT" ]; then set -- "$@" --secret "id=ca,src=$PIP_CERT"; fi
content=$(.venv/bin/python -c 'from infra.bake.archive import content_hash; print(content_hash())')
for target in gateway studio; do
    echo "building easel/$target:$content with $tool"
    "$@" --build-arg "EASEL_CONTENT=$content" --target "$target" --tag "easel/$target:$content" \
        --tag "easel/$target:latest" image
done
