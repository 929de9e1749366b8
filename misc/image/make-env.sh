#!/bin/sh
# make-env.sh PREFIX DIST: make PREFIX/venv with the wheels in DIST and what they depend on, and PREFIX/constraints.txt,
# which keeps later installations from replacing them.
set -eu
. "${0%/*}/network.sh"

prefix=$1
dist=$2
uv=$prefix/uv/bin/uv
export UV_PYTHON_INSTALL_DIR="$prefix/python" VIRTUAL_ENV="$prefix/venv"
# The environment belongs to one fixed group instead of a person, so that another person copies no gigabytes.
group=65500
umask 0002

"$uv" venv --quiet --python "$PYTHON_VERSION" "$prefix/venv"
for wheel in "$dist"/*.whl; do
    [ -e "$wheel" ] || continue
    file=${wheel##*/}
    name=${file%%-*}
    version=${file#*-}
    echo "$name==${version%%-*}"
done > "$prefix/constraints.txt"

# The wheels by name from this folder alone, not by path: 'pip freeze' would name a folder that is gone. Without the
# cache, because uv would take a wheel of that name and version from there, though PyTorch has been compiled anew.
if [ -s "$prefix/constraints.txt" ]; then
    "$uv" pip install --no-cache --no-index --no-deps --find-links "$dist" --requirements "$prefix/constraints.txt"
fi
"$uv" pip install --requirements "$prefix/constraints.txt" pip

rm -f "$prefix/venv/.lock" # uv makes it for everybody to write
chgrp -R "$group" "$prefix/venv"
find "$prefix/venv" -type d -exec chmod 2775 {} +
