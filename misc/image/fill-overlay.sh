#!/bin/sh
# fill-overlay.sh PREFIX FILE: install FILE's Python requirements into PREFIX/venv under PREFIX/constraints.txt. With
# pip, because uv does not count what lies beneath an environment as installed.
set -eu
. "${0%/*}/network.sh"

umask 0002
tr -d '\r\357\273\277' < "$2" > /tmp/requirements.txt
PIP_CONSTRAINT="$1/constraints.txt" "$1/venv/bin/python" -m pip install --requirement /tmp/requirements.txt
rm /tmp/requirements.txt
