#!/bin/sh
# install-preload.sh NAME FOLDER: put the library that the setting PRELOAD names into FOLDER, by its own name, and try it.
set -eu
. "${0%/*}/network.sh"

name=$1
folder=$2
work=$(mktemp -d)
mkdir -p "$folder"

fail() {
    echo "cresset: PRELOAD=$name: $1" >&2
    exit 1
}

has() { command -v "$1" > /dev/null; }

# from_distribution FILE APT_PACKAGE RPM_PACKAGE
from_distribution() {
    file=$1
    if has apt-get; then package=$2; else package=$3; fi
    "${0%/*}/install-packages.sh" "$package" || fail "this distribution's packages have no $package"
    library=$(find /usr/lib /usr/lib64 -name "$file" 2> /dev/null | head -n 1)
}

case $name in
    jemalloc) from_distribution libjemalloc.so.2 libjemalloc2 jemalloc ;;
    tcmalloc) from_distribution libtcmalloc_minimal.so.4 libtcmalloc-minimal4 gperftools-libs ;;
    libiomp5)
        # Intel's own, of which the wheel is fifty megabytes and this file three.
        file=libiomp5.so
        if ! python3 -c 'import ensurepip' 2> /dev/null; then "${0%/*}/install-packages.sh" python3 python3-venv; fi
        python3 -m venv "$work/venv"
        unset PIP_CONSTRAINT # the base image's, for packages of its own
        retry "$work/venv/bin/pip" --quiet install --no-compile --no-deps intel-openmp ||
            fail "there is no intel-openmp for this machine ($(uname -m))"
        library=$work/venv/lib/$file
        ;;
    *) fail "there is no such library" ;;
esac

[ -f "$library" ] || fail "the package has no $file"
cp "$library" "$folder/$file"
rm -rf "$work"
# What cannot be preloaded is passed over, with a complaint from every program that a person would ever run.
said=$(LD_PRELOAD="$folder/$file" /bin/sh -c : 2>&1) && [ -z "$said" ] || fail "$file does not load: $said"
