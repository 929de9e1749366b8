#!/bin/sh
# preflight.sh SOURCE OUT: fail in seconds over what would otherwise fail in hours; what was found goes to OUT.
set -eu
. "${0%/*}/compile.sh"

source=$1
out=$2
mkdir -p "$out"
fail() { # LINE HINT
    echo "cresset: preflight: $1" >&2
    echo "cresset: preflight: $2" >&2
    exit 1
}

for file in setup.py pyproject.toml; do [ -e "$source/$file" ] && found=$file; done
[ -n "${found:-}" ] || fail "the source has neither setup.py nor pyproject.toml" "is PYTORCH_URL a repository of PyTorch?"

# A submodule that was not fetched is an empty folder.
if [ -e "$source/.gitmodules" ]; then
    sed -n 's/^[[:space:]]*path = //p' "$source/.gitmodules" | while read -r path; do
        [ -n "$(ls -A "$source/$path" 2> /dev/null)" ] \
            || fail "the submodule $path is empty" "a source needs its submodules: git submodule update --init --recursive"
    done
fi

# Both compilers have to compile and link.
work=$(mktemp -d)
echo 'int main() { return 0; }' > "$work/main.cpp"
if ! c++ -o "$work/main" "$work/main.cpp" || ! "$work/main"; then
    fail "the C++ compiler of $BUILD_IMAGE does not work" "choose another BUILD_IMAGE"
fi
gcc=$(c++ -dumpfullversion -dumpversion)

if [ "$USE_CUDA" = 1 ]; then
    [ -n "$CCA" ] || fail "CCA is empty" "name the compute capabilities of your GPUs, like CCA=8.6: nvidia-smi --query-gpu=compute_cap --format=csv"
    command -v nvcc > /dev/null || fail "$BUILD_IMAGE has no nvcc" "take an image of flavor devel: IMAGE_FLAVOR=devel"
    release=$(nvcc --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
    case "$CUDA_VERSION." in
        "$release".*) ;;
        *) [ -z "$release" ] || fail "$BUILD_IMAGE has CUDA $release, and CUDA_VERSION is $CUDA_VERSION" \
            "set CUDA_VERSION to what the image has, or choose another BUILD_IMAGE" ;;
    esac
    known=$(nvcc --list-gpu-code 2> /dev/null || true)
    for item in $(echo "$CCA" | tr ';' ' '); do
        # What is special to one architecture (9.0a) is not listed by itself.
        code=sm_$(echo "${item%+PTX}" | tr -d .a)
        echo "$known" | grep -qx "$code" || [ -z "$known" ] \
            || fail "nvcc of CUDA $CUDA_VERSION does not compile for ${item%+PTX} ($code)" "it knows $(echo "$known" | tr '\n' ' ')"
    done
    echo '__global__ void f() {} int main() { f<<<1, 1>>>(); }' > "$work/main.cu"
    nvcc -o "$work/cuda" "$work/main.cu" || fail "nvcc does not work with gcc $gcc" "choose an older distribution, or a newer CUDA_VERSION"
    # -H: in NVIDIA's images the second folder is a link.
    cudnn=$(find -H /usr/include /usr/local/cuda/include -name cudnn_version.h 2> /dev/null | head -n 1)
    # PyTorch itself only warns, and is then built without.
    [ -n "$cudnn" ] || fail "$BUILD_IMAGE has no cuDNN" "take a base image with cudnn in its tag"
    nccl=$(find -H /usr/include /usr/local/cuda/include -name nccl.h 2> /dev/null | head -n 1)
    [ -n "$nccl" ] || echo "cresset: preflight: no NCCL in $BUILD_IMAGE: PyTorch will have no backend nccl" >&2
fi

/opt/build/bin/python -c 'import numpy' || fail "the build environment has no numpy" "PyTorch would be built without it"
free=$(df -Pm "$work" | awk 'NR == 2 { print $4 }')
if [ -d "$source/aten" ] && [ "$free" -lt 10240 ]; then
    fail "the builder has $free MiB free" "compiling PyTorch takes 10 GB: docker system df, docker builder prune"
fi
rm -rf "$work"
echo "preflight: gcc $gcc, $(nproc) cores, $(memory) MiB free: $MAX_JOBS jobs"
# Only what decides what comes of the build: what is free today must not count.
echo "gcc $gcc cudnn ${cudnn:-} nccl ${nccl:-}" > "$out/found"
