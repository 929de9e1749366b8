#!/bin/sh
# make-overlay.sh PREFIX GONE: make PREFIX/venv on top of the base image's Python packages, which stay as they are but
# for those that GONE lists, and PREFIX/constraints.txt, which keeps later installations from replacing them.
set -eu

prefix=$1
venv=$prefix/venv
# As for the environment of the other services: one group may write it, whoever the person is.
group=65500
umask 0002
# The base's Python may be marked as the distribution's; what is removed here is meant to be.
export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1

set -f # names, not patterns
gone=$(tr -d '\r\357\273\277' < "$2" | sed -e 's/#.*//')
for name in $gone; do
    if ! python3 -m pip show --quiet "$name" 2> /dev/null; then
        echo "cresset: the base image has no Python package $name to uninstall: leave the line out" >&2
        exit 1
    fi
done
# shellcheck disable=SC2086 # names are words
set -- $gone
if [ $# -gt 0 ]; then python3 -m pip uninstall --yes "$@"; fi

python3 "${0%/*}/constraints.py" > "$prefix/constraints.txt"

# With the base's pip: a second one would have to be downloaded, and the base need not have what venv makes one of.
python3 -m venv --without-pip --system-site-packages "$venv"
for name in pip pip3; do
    printf '#!/bin/sh\nexec %s/bin/python -m pip "$@"\n' "$venv" > "$venv/bin/$name"
    chmod 755 "$venv/bin/$name"
done
# The base's own programs (torchrun, jupyter) run its Python: it looks here too, after everything of its own.
packages=$(python3 -c 'import site; print(site.getsitepackages()[0])')
mkdir -p "$packages"
"$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$packages/cresset.pth"

chgrp -R "$group" "$venv"
find "$venv" -type d -exec chmod 2775 {} +
