#!/bin/sh
# Makes .venv and installs into it: `scripts/venv.sh up` what `make up` needs, `scripts/venv.sh dev` everything.
# Adds and never removes, so that `make up` after `make test` has nothing to do.
set -eu
cd "$(dirname "$0")/.."
what=$1

fail() {
    echo "easel: $*" >&2
    exit 2
}

python=${PYTHON:-python3}
command -v "$python" >/dev/null || fail "there is no $python: install Python 3.11, 3.12 or 3.13"
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' ||
    fail "$("$python" --version) is not supported: install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=python3.12 …"

if [ ! -x .venv/bin/python ]; then
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$python cannot make environments: install python3-venv and python3-pip (Debian: apt-get install python3-venv)"
    echo "making .venv with $("$python" --version)"
    "$python" -m venv .venv
fi
[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
# Some gigabytes, minutes without a word: on a terminal uv says what it fetches, and how far it is.
quiet=--quiet
[ ! -t 2 ] || quiet=
echo "installing what requirements/$what.txt names (the first time this takes minutes)"
VIRTUAL_ENV="$PWD/.venv" .venv/bin/uv pip install $quiet --requirements "requirements/$what.txt"
VIRTUAL_ENV="$PWD/.venv" .venv/bin/uv pip install --quiet --no-deps --editable .
touch .venv/.up
[ "$what" = up ] || touch .venv/.dev
