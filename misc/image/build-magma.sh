#!/bin/sh
# build-magma.sh SOURCE OUT: compile MAGMA as static libraries into OUT.
set -eu
. "${0%/*}/compile.sh"

export PATH="/opt/build/bin:$PATH"
cd "$1"
targets=$(for item in $(echo "$CCA" | tr ';' ' '); do echo "${item%+PTX}" | tr -d .; done | paste -s -d ';' -)
# The repository's files are templates for four precisions; an archive of a release has them made already.
if [ -e tools/codegen.py ] && [ ! -e src/sgetrf.cpp ]; then
    printf 'BACKEND = cuda\nFORT = false\nGPU_TARGET = %s\n' "$(echo "sm_$targets" | sed 's/;/ sm_/g')" > make.inc
    quietly make generate
fi
quietly cmake -G Ninja -S . -B build -DCMAKE_INSTALL_PREFIX="$2" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
    -DUSE_FORTRAN=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_CUDA_ARCHITECTURES="$targets" \
    -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache
quietly cmake --build build
report magma
cmake --install build > /dev/null
