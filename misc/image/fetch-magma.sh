#!/bin/sh
# fetch-magma.sh OUT: unpack the archive at MAGMA_URL into OUT. It goes into the wheel, so nothing is unpacked whose
# checksum nobody has written down.
set -eu
. "${0%/*}/network.sh"

cuda=$(echo "$CUDA_VERSION" | cut -d. -f1,2 | tr -d .)
case "$MAGMA_URL" in
    *.git) url=https://ossci-linux.s3.us-east-1.amazonaws.com/magma-cuda$cuda-2.6.1-1.tar.bz2 ;;
    *) url=$MAGMA_URL ;;
esac
mkdir -p "$1"
archive=$(mktemp)
fail() { # LINE
    echo "cresset: MAGMA_URL: $1" >&2
    exit 1
}
curl --fail --silent --show-error --location --retry 5 --continue-at - --output "$archive" "${url%%#*}" \
    || fail "${url%%#*} cannot be fetched"
sum=$(sha256sum < "$archive" | cut -d ' ' -f 1)
case "$url" in
    *"#sha256=$sum") ;;
    *'#'*) fail "the archive is #sha256=$sum, which is not what is written behind its address" ;;
    *) fail "no checksum is written behind it; to take this archive, set MAGMA_URL=$url#sha256=$sum" ;;
esac
tar -xf "$archive" -C "$1" || fail "${url%%#*} is no archive"
rm "$archive"
test -e "$1/include/magma.h" || fail "${url%%#*} holds no MAGMA: include/magma.h is missing"
