#!/bin/sh
# install-uv.sh PREFIX: put uv and uvx of UV_VERSION into PREFIX/bin.
set -eu
. "${0%/*}/network.sh"

work=$(mktemp -d)
# An image may have made another Python its python3, which the distribution's python3-venv does not serve.
for python in python3 /usr/bin/python3.*; do
    if "$python" -m venv --clear "$work/venv" > "$work/said" 2>&1; then break; fi
done
pip=$work/venv/bin/pip
[ -x "$pip" ] || { cat "$work/said" >&2 && exit 1; }
install() { # WORD...
    if "$pip" --quiet install --no-compile "$@" 2> "$work/said"; then return; fi
    told "$work/said" >&2
    # What the index does not have, it does not have a moment later either.
    if grep -Eq '^(ERROR: )?No matching distribution' "$work/said"; then exit 1; fi
    return 1
}
# Older ones, such as the 9.0 of Ubuntu 18.04, do not know what uv's wheels are for: manylinux2014, PEP 599. Of the new
# ones the last that runs on any Python 3 there may be.
version=$("$pip" --version | sed -E 's/^pip ([0-9]+).*/\1/')
if [ "$version" -lt 20 ]; then
    (retry install --upgrade 'pip>=20,<21') || {
        echo "cresset: the base image's pip $version is too old to install uv, and the index gives no pip 20" >&2
        exit 1
    }
fi
# It is a program: the Python that its wheel asks for is none that it would need.
retry install --ignore-requires-python "uv==$UV_VERSION"
mkdir -p "$1/bin"
cp "$work/venv/bin/uv" "$work/venv/bin/uvx" "$1/bin/"
rm -rf "$work"
