#!/bin/sh
# build-extensions.sh REQUIREMENTS TORCH OUT: compile each requirement against the torch in TORCH; its wheel goes to OUT.
set -eu
. "${0%/*}/network.sh"

requirements=$1 torch=$2 out=$3
mkdir -p "$out"
if [ ! -s "$requirements" ]; then exit; fi
. "${0%/*}/compile.sh"
. "${0%/*}/wheel.sh"

if [ "$USE_CUDA" = 1 ] && ! command -v nvcc > /dev/null; then
    echo "cresset: the base image has no nvcc, and packages are to be compiled: take one of flavor devel" >&2
    exit 1
fi

store=/var/cache/cresset-extensions
work=/tmp/extensions
mkdir -p "$store" "$work"
# Options hold for all of the file; of a line that names another file nobody knows what is in it.
grep -E '^-' "$requirements" | grep -vE '^(-r|--requirement)' > "$work/options" || true
grep -vxF -f "$work/options" "$requirements" > "$work/lines" || true

# What decides a wheel beside its line: the torch, the systems' libraries and compilers, the options.
{
    find "$torch" -name 'torch-*.whl' -exec sha256sum {} +
    cat /etc/os-release "$work/options"
    c++ -v 2>&1
    if [ "$USE_CUDA" = 1 ]; then nvcc --version; fi
    echo "$PYTHON_VERSION $USE_CUDA $CCA $CLEAN"
} > "$work/made-for"

prepare() {
    if [ -e /opt/build ]; then return; fi
    "${0%/*}/make-build-env.sh" /opt/build
    # Isolated, a build would compile against another torch, so what it asks for has to be here: these often are.
    uv_install cython hatchling psutil pybind11 scikit-build-core setuptools-scm
    install_torch "$torch"
    compile_extensions
    export PATH="/opt/build/bin:$PATH" FORCE_CUDA="$USE_CUDA"
    # pip builds in a folder of another name each time.
    export CCACHE_BASEDIR=/tmp CCACHE_NOHASHDIR=1
    # These would rather fetch a wheel that was made for somebody else's torch.
    export FLASH_ATTENTION_FORCE_BUILD=TRUE CAUSAL_CONV1D_FORCE_BUILD=TRUE MAMBA_FORCE_BUILD=TRUE
}

# From source, each of them: a wheel of somebody else's was made for another torch. Their dependencies are left to the
# environment, where the torch of this configuration is.
compile_line() { # LINE PLACE
    { cat "$work/options"; echo "$1"; } > "$work/requirements.txt"
    rm -rf "$work/pip" "$work/wheels"
    mkdir "$work/pip" "$work/wheels"
    quietly python -m pip wheel --verbose --no-cache-dir --no-deps --no-build-isolation --no-binary :all: \
        --wheel-dir "$work/pip" --requirement "$work/requirements.txt"
    report "$1"
    for wheel in "$work/pip"/*.whl; do
        [ -e "$wheel" ] || continue # its marker says that it is not for this system
        case "${wheel##*/}" in
            torch-* | torchvision-* | torchaudio-* | torchtext-*)
                echo "cresset: $1 is ${wheel##*/}, which would take the place of what it was compiled against" >&2
                exit 1
                ;;
        esac
        python "${0%/*}/bundle-libraries.py" "$wheel" "$work/wheels"
    done
    # In one go: another build may look.
    copy=$(mktemp -d "$store/.XXXXXX")
    cp -r "$work/wheels" "$copy"
    mv -T "$copy/wheels" "$2" 2> /dev/null || true
    rm -rf "$copy"
}

# A wheel that was made once is kept, so that another line, or this one again, compiles only itself.
while read -r line <&3; do
    place=$store/$({ cat "$work/made-for"; echo "$line"; } | sha256sum | cut -c1-32)
    if [ -e "$place" ]; then
        echo "$line: made before"
    else
        prepare
        compile_line "$line" "$place"
    fi
    find "$place" -name '*.whl' -exec cp {} "$out" \;
done 3< "$work/lines"
# The environment has a whole torch, which need not stay in a layer.
rm -rf "$work" /opt/build
ls -l "$out"
