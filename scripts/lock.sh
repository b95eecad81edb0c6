#!/bin/sh
# Writes requirements/ from pyproject.toml. No address of an index belongs in them: where packages come from is
# the business of the machine that installs them.
set -eu
cd "$(dirname "$0")/.."
compile() {
    .venv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --no-header --quiet --no-annotate "$@"
}
compile --all-extras -o requirements/dev.txt
compile --extra studio --extra gateway -c requirements/dev.txt -o requirements/up.txt
# What the container image installs, with hashes: the machine that builds it has nothing else to tell by.
# hf-xet is 11 MB for a way to download that is not taken: the bytes come by easel's own downloader.
compile --generate-hashes --extra gateway --extra cluster --no-emit-package hf-xet -c requirements/dev.txt -o image/requirements/gateway.txt
compile --generate-hashes --extra studio -c requirements/dev.txt -o image/requirements/studio.txt
# torch and what it brings are a layer of their own: gigabytes that stay while everything else changes.
echo torch | .venv/bin/uv pip compile - --universal --python-version 3.11 --no-header --quiet --no-annotate \
    --generate-hashes -c requirements/dev.txt -o image/requirements/torch.txt
