#!/bin/sh
# make-simple-env.sh UV VENV FILE: make VENV on top of the image's own Python, and install FILE's requirements into it.
# It sees the packages that Python has already and changes none of them. By pip, because uv does not know them.
set -eu
. "${0%/*}/network.sh"

python=$(command -v python3 || command -v python)
umask 0002
"$1" venv --quiet --seed --system-site-packages --python "$python" "$2"
# What it would not see by itself: the packages of a Python that is an environment too, and the image's PYTHONPATH, in
# whose place the project comes.
"$python" -c 'import os, site, sys
below = os.environ.get("PYTHONPATH", "").split(":") + site.getsitepackages() * (sys.prefix != sys.base_prefix)
print(*filter(None, below), sep="\n")' > "$(echo "$2"/lib/python3*/site-packages)/below.pth"

tr -d '\r' < "$3" > /tmp/requirements.txt
retry "$2/bin/pip" --quiet install --requirement /tmp/requirements.txt
rm /tmp/requirements.txt

# As in make-env.sh: the environment belongs to one fixed group.
chgrp -R 65500 "$2"
find "$2" -type d -exec chmod 2775 {} +
