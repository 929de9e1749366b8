#!/bin/sh
# fetch-magma.sh OUT: unpack the archive at MAGMA_URL into OUT; what follows #sha256= in it is checked.
set -eu
. "${0%/*}/network.sh"

cuda=$(echo "$CUDA_VERSION" | cut -d. -f1,2 | tr -d .)
case "$MAGMA_URL" in
    *.git) url=https://ossci-linux.s3.us-east-1.amazonaws.com/magma-cuda$cuda-2.6.1-1.tar.bz2 ;;
    *) url=$MAGMA_URL ;;
esac
mkdir -p "$1"
curl --fail --silent --show-error --location --retry 5 --continue-at - --output /tmp/magma.archive "${url%%#*}"
case "$url" in
    *'#sha256='*) echo "${url##*#sha256=}  /tmp/magma.archive" | sha256sum --check --quiet ;;
    *) echo "cresset: no checksum in MAGMA_URL; this one is #sha256=$(sha256sum < /tmp/magma.archive | cut -d ' ' -f 1)" ;;
esac
tar -xf /tmp/magma.archive -C "$1"
test -e "$1/include/magma.h" || { echo "cresset: ${url%%#*} holds no MAGMA: include/magma.h is missing" >&2; exit 1; }
