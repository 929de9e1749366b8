#!/bin/sh
# build-companion.sh NAME TAG SOURCE TORCH PINS OUT: compile a companion against the torch in TORCH; nothing without a source.
set -eu
. "${0%/*}/network.sh"
. "${0%/*}/compile.sh"
. "${0%/*}/wheel.sh"

name=$1 tag=${2#v} source=$3 torch=$4 pins=$5 out=$6
mkdir -p "$out"
if [ -z "$(ls -A "$source")" ]; then exit; fi

install_build_requirements "$source" "$pins"
install_torch "$torch"
case "$tag" in [0-9]*.[0-9]*.[0-9]*) export BUILD_VERSION="$tag" ;; esac
compile_extensions
export FORCE_CUDA="$USE_CUDA"
if [ "$name" = torchaudio ]; then export BUILD_SOX=0 USE_FFMPEG=0; fi
for flag in $COMPANION_BUILD_FLAGS; do export "${flag?}"; done
unset CCA COMPANION_BUILD_FLAGS

build_wheel "$name" "$source" "$out"
