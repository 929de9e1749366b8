#!/bin/sh
# install-uv.sh PREFIX: put uv and uvx of UV_VERSION into PREFIX/bin.
set -eu
. "${0%/*}/network.sh"

work=$(mktemp -d)
# An image may have made another Python its python3, which the distribution's python3-venv does not serve.
for python in python3 /usr/bin/python3.*; do
    if "$python" -m venv --clear "$work/venv" > "$work/said" 2>&1; then break; fi
done
[ -x "$work/venv/bin/pip" ] || { cat "$work/said" >&2 && exit 1; }
install() {
    if "$work/venv/bin/pip" --quiet install --no-compile "uv==$UV_VERSION" 2> "$work/said"; then return; fi
    told "$work/said" >&2
    # What the index does not have, it does not have a moment later either.
    if grep -q '^ERROR: No matching distribution' "$work/said"; then exit 1; fi
    return 1
}
retry install
mkdir -p "$1/bin"
cp "$work/venv/bin/uv" "$work/venv/bin/uvx" "$1/bin/"
rm -rf "$work"
