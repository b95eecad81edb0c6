#!/bin/sh
# Makes .venv with what the Pulumi program and the easel command need, in the versions that the tests ran with.
set -eu
cd "$(dirname "$0")/../.."
python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint requirements/dev.txt --editable '.[infra]'
