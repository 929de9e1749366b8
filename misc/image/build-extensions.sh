#!/bin/sh
# build-extensions.sh REQUIREMENTS TORCH OUT: compile each requirement against the torch in TORCH; its wheel goes to OUT.
set -eu
. "${0%/*}/network.sh"

requirements=$1 torch=$2 out=$3
mkdir -p "$out"
if [ ! -s "$requirements" ]; then exit; fi
. "${0%/*}/compile.sh"
. "${0%/*}/wheel.sh"

"${0%/*}/make-build-env.sh" /opt/build
install_torch "$torch"
compile_extensions
export PATH="/opt/build/bin:$PATH" FORCE_CUDA="$USE_CUDA"
# From source, each of them: a wheel of somebody else's was made for another torch. Their dependencies are left to the
# environment, where the torch of this configuration is.
names=$(sed -E -e '/^-/d' -e 's/[^A-Za-z0-9._-].*//' "$requirements" | paste -s -d , -)
quietly python -m pip wheel --verbose --no-deps --no-build-isolation --no-binary "$names" \
    --wheel-dir /tmp/wheel --requirement "$requirements"
report extensions
cp /tmp/wheel/*.whl "$out"
ls -l "$out"
