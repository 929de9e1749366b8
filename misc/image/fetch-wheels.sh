#!/bin/sh
# fetch-wheels.sh PICKED OUT: put the official wheels that the settings ask for into OUT, from PICKED where it has one
# for this Python, otherwise from the index of PyTorch's wheels.
set -eu
. "${0%/*}/network.sh"
. "${0%/*}/wanted-wheels.sh"

picked=$1
out=$2
variant=$(variant)
if [ "$PYTORCH_FETCH_NIGHTLY" = 1 ]; then channel=/nightly; else channel=; fi
# Releases before 1.11 are on one page of links (pytorch.org/get-started/previous-versions), 1.8.2 on another.
case "$PYTORCH_FETCH_NIGHTLY-${PYTORCH_VERSION_TAG#v}" in
    0-1.8.2 | 0-1.8.2+*) official=https://download.pytorch.org/whl/lts/1.8/torch_lts.html ;;
    0-0.* | 0-1.[0-9] | 0-1.[0-9].* | 0-1.10 | 0-1.10.*) official=https://download.pytorch.org/whl/torch_stable.html ;;
    *) official=https://download.pytorch.org/whl$channel/$variant ;;
esac
index=${PYTORCH_INDEX_URL:-$official}
case "$index" in
    *.html) from="--no-index --find-links $index" ;;
    *) from="--index-url $index" ;;
esac

mkdir -p "$out"
/opt/uv/bin/uv venv --quiet --seed --python "$PYTHON_VERSION" /tmp/fetch
# Only the index of this configuration may serve these packages, not the person's other indexes.
unset PIP_EXTRA_INDEX_URL
download() {
    /tmp/fetch/bin/pip --quiet download --no-deps --only-binary :all: --dest "$out" "$@"
}

if [ "$PYTORCH_FETCH_NIGHTLY" = 1 ]; then
    wanted=$(wanted_wheels | while read -r name version; do
        # A release's tag says nothing about nightly wheels: the newest is meant.
        case "$version" in *.dev*) echo "$name==$version" ;; *) echo "$name" ;; esac
    done)
    # With dependencies, because nightlies of one day belong together and their triton is on this index alone.
    # shellcheck disable=SC2086 # requirements are words
    /tmp/fetch/bin/pip --quiet download --pre --only-binary :all: $from --dest /tmp/nightly $wanted
    for wheel in /tmp/nightly/torch*.whl /tmp/nightly/*triton*.whl; do
        if [ -e "$wheel" ]; then install -m 644 "$wheel" "$out"; fi
    done
    exit
fi

# The label of this configuration first, then no label at all: '==' alone would take any other label too.
download_version() { # NAME VERSION PIP-OPTION...
    spec=$1==$2
    exact=$1===$2
    labelled=$1==$2+$variant
    shift 2
    case "$spec" in *+*) download "$@" "$spec" ;; *) download "$@" "$labelled" || download "$@" "$exact" ;; esac
}

wanted_wheels > /tmp/wanted
# shellcheck disable=SC2086 # options are words
while read -r name version; do
    if download_version "$name" "$version" --no-index --find-links "$picked" 2> /tmp/reason; then
        echo "$name $version: from the wheelhouse"
    elif download_version "$name" "$version" $from 2> /tmp/reason; then
        echo "$name $version: from $index"
    else
        told /tmp/reason >&2
        if grep -q 'Retry(total=0' /tmp/reason; then none="no answer from $index"; else none="none at $index"; fi
        echo "cresset: $name $version ($variant) for Python $PYTHON_VERSION: no wheel in the wheelhouse, $none" >&2
        exit 1
    fi
done < /tmp/wanted
