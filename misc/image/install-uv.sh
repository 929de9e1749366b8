#!/bin/sh
# install-uv.sh PREFIX: put uv and uvx of UV_VERSION into PREFIX/bin.
set -eu
. "${0%/*}/network.sh"

work=$(mktemp -d)
python3 -m venv "$work/venv"
retry "$work/venv/bin/pip" --quiet install --no-compile "uv==$UV_VERSION"
mkdir -p "$1/bin"
cp "$work/venv/bin/uv" "$work/venv/bin/uvx" "$1/bin/"
rm -rf "$work"
