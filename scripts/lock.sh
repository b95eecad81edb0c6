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
