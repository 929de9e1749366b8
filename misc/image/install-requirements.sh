#!/bin/sh
# install-requirements.sh VENV FILE: install FILE's Python requirements into VENV under the constraints that belong to it.
set -eu
. "${0%/*}/network.sh"

umask 0002
tr -d '\r' < "$2" > /tmp/requirements.txt
UV_CONSTRAINT="${1%/*}/constraints.txt" VIRTUAL_ENV="$1" \
    "${1%/*}/uv/bin/uv" pip install --requirements /tmp/requirements.txt
# uv makes it for everybody to write.
rm -f /tmp/requirements.txt "$1/.lock"
