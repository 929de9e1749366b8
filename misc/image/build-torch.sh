#!/bin/sh
# build-torch.sh SOURCE PINS FOUND OUT: compile PyTorch into a wheel in OUT.
set -eu
. "${0%/*}/network.sh"
. "${0%/*}/compile.sh"
. "${0%/*}/wheel.sh"

source=$1 pins=$2 found=$3 out=$4
install_build_requirements "$source" "$pins"
if [ "$MKL_MODE" = include ]; then
    VIRTUAL_ENV=/opt/build /opt/uv/bin/uv pip install --quiet mkl-static mkl-include
    export BLAS=MKL USE_MKL=1
else
    # Against the distribution's OpenBLAS, which goes into the wheel.
    export BLAS=OpenBLAS USE_MKL=0
fi

# The version that companions ask for. A branch keeps the name that PyTorch itself gives it, commit and all.
case "${PYTORCH_VERSION_TAG#v}" in
    [0-9]*.[0-9]*.[0-9]*) export PYTORCH_BUILD_VERSION="${PYTORCH_VERSION_TAG#v}" PYTORCH_BUILD_NUMBER=1 ;;
esac

export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache CMAKE_PREFIX_PATH=/opt/build BUILD_TEST=0
if [ "$USE_CUDA" = 1 ]; then
    export CMAKE_CUDA_COMPILER_LAUNCHER=ccache TORCH_CUDA_ARCH_LIST="$CCA" USE_CUDNN=1
    # The base image's own: otherwise it is fetched in the middle of the build (pytorch issue 152532).
    if grep -q 'nccl /' "$found"; then export USE_SYSTEM_NCCL=1; else export USE_NCCL=0; fi
    if [ -z "$TORCH_NVCC_FLAGS" ]; then unset TORCH_NVCC_FLAGS; fi
else
    export USE_CUDNN=0 USE_NCCL=0
    unset TORCH_NVCC_FLAGS
fi
if [ -e /opt/magma/include/magma.h ]; then export USE_MAGMA=1 MAGMA_HOME=/opt/magma; else export USE_MAGMA=0; fi
# Last, so that the person's own flags win; PyTorch forwards what begins with USE_, BUILD_ or CMAKE_ to CMake.
for flag in $TORCH_BUILD_FLAGS; do export "${flag?}"; done
# What is ours to know is not PyTorch's.
unset PYTORCH_VERSION_TAG MKL_MODE CCA TORCH_BUILD_FLAGS

build_wheel torch "$source" "$out"
