# Sourced by each step that makes a wheel in /opt/build, after network.sh and compile.sh.
# shellcheck shell=sh

uv_install() {
    VIRTUAL_ENV=/opt/build /opt/uv/bin/uv pip install --quiet "$@"
}

# install_build_requirements SOURCE PINS: what the source itself names, as far as PINS allow.
install_build_requirements() {
    for file in requirements-build.txt requirements.txt; do
        if [ -e "$1/$file" ]; then
            uv_install --requirements "$1/$file" --constraints "$2"
            break
        fi
    done
    if [ -s "$2" ]; then uv_install --requirements "$2"; fi
}

# install_torch FOLDER: the one torch there, and what it depends on.
install_torch() {
    torch_wheel=$(find "$1" -name 'torch-*.whl')
    uv_install "$torch_wheel"
    torch_version=${torch_wheel##*/torch-}
    export PYTORCH_VERSION="${torch_version%%-*}"
}

# compile_extensions: what torch.utils.cpp_extension reads, which uses no CMake.
compile_extensions() {
    if [ -d /usr/lib/ccache ]; then export PATH="/usr/lib/ccache:$PATH"; fi
    # The compiler of the distribution may be newer than a torch of some age knows.
    export TORCH_DONT_CHECK_COMPILER_ABI=1
    if [ "$USE_CUDA" = 1 ]; then export TORCH_CUDA_ARCH_LIST="$CCA" PYTORCH_NVCC="ccache nvcc"; fi
}

# build_wheel NAME SOURCE OUT: the wheel, with the distribution's libraries that it needs inside it.
build_wheel() {
    export PATH="/opt/build/bin:$PATH"
    cd "$2" || return
    mkdir -p /tmp/wheel "$3"
    # setup.py is gone from PyTorch 2.14 on.
    if [ -e setup.py ]; then
        quietly python setup.py bdist_wheel --dist-dir /tmp/wheel
    else
        quietly python -m build --wheel --no-isolation --outdir /tmp/wheel
    fi
    report "$1"
    for wheel in /tmp/wheel/*.whl; do
        python "${0%/*}/bundle-libraries.py" "$wheel" "$3"
    done
    # The environment has a whole torch or MKL in it, which need not stay in a layer.
    rm -rf /opt/build /tmp/wheel
    ls -l "$3"
}
