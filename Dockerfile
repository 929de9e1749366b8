# The stages, from what rarely changes to what changes daily. Indented: built FROM the stage above.
#
#   scripts, requirements    files of this repository, with the modes of no particular checkout
#   wheelhouse, sources      the host's folders of wheels and of source trees: named contexts take these stages' places
#   project                  the host's folder of code that deploy takes along: likewise
#
#   build-python             BUILD_IMAGE + Python + uv
#       pick-wheels              from the wheelhouse, only the wheels asked for
#       fetch-wheels             the official wheels: from pick-wheels, otherwise from the index
#       clone-base               git
#           clone-torch, clone-vision, clone-audio, clone-text    sources at a tag or commit
#       build-base               compilers and what PyTorch's build asks for
#           install                  the same, with labels: the image pytorch_source:build_install
#           choose-pins              which build requirements the versions can bear
#           fetch-magma, build-magma -> magma    MAGMA_MODE: an archive, a compile, or nothing
#           preflight                compiler, nvcc, cuDNN, submodules: fails in seconds, not hours
#           build-torch              the wheel of PyTorch
#           build-vision, build-audio, build-text                 on build-torch's wheel, side by side
#       pick-extensions          the lines of reqs/pip-build.requirements.txt, without comments
#       build-extensions         their wheels, compiled against this torch
#   dist-include, dist-exclude -> dist    every wheel of this configuration, in /tmp/dist
#
#   train-python             TRAIN_IMAGE + Python
#       make-env                 /opt/venv with the wheels of dist and what they depend on
#       pick-packages            the requirements of the base's own package manager, apt's or dnf's
#       train-base               their packages
#           train-env                make-env's /opt, and the pip requirements on top
#               check-env                is it what was asked for? versions, CUDA, libraries
#               train-sudo-include, -exclude     } SUDO and SSH choose one each
#               train-ssh-include, -exclude      }
#               train-user-include       the host's user      } ADD_USER chooses one
#               train-user-exclude       root                 }
#                   check-user               is that the account that was asked for? on top of what check-env found
#                   train-preload-none, -jemalloc, -tcmalloc, -libiomp5    PRELOAD chooses one
#                       train                    shell, time zone, environment: what people use
#       install-preload          the library of PRELOAD
#
#   deploy-python            DEPLOY_IMAGE + Python
#       make-deploy-env          make-env's steps, on this base
#           lean-env                 without pip and uv
#       pick-deploy-packages     as pick-packages
#   deploy-base              DEPLOY_IMAGE + its packages and an account of its own
#       project-files            the named context `project`, readable by all
#       deploy-env               lean-env's /opt, and the pip requirements on top
#           check-deploy             is it what was asked for?
#           deploy                   project-files: what runs elsewhere
#
#   devel-base               build-base + a shell
#       devel-sudo-*, -user-* -> devel      as for train, for work on PyTorch itself
#
#   simple-uv                SIMPLE_IMAGE + what makes the environment; thrown away
#       install-simple-preload   the library of PRELOAD
#   pick-simple-packages     as pick-packages
#   simple-base              SIMPLE_IMAGE + its packages, and Python if it has none
#       simple-env               /opt/simple: the pip requirements, on top of that image's own Python
#           simple-sudo-*, -ssh-*, -user-*, -preload-* -> simple      as for train
#               check-simple             is that the account that was asked for?
#
# Each ARG has its default here and nowhere else, below one line that says what it is; a stage that needs it names it
# again without a value. An ARG is in the environment of every later RUN of its stage and of the stages built FROM it,
# so it counts there whether it is used or not: name it as late as possible, and never who, where or when in a build-*
# stage. What must not count at all (CA bundle, index URLs, mirrors, the number of jobs) comes as a secret.


# BUILD_MODE is where PyTorch comes from: include compiles it, exclude takes the official wheels
ARG BUILD_MODE=exclude

# USE_CUDA is 1 for PyTorch with CUDA, 0 for the CPU only
ARG USE_CUDA=1
# CUDA_VERSION is the CUDA toolkit of the base image, with its patch number from 11.0 on
ARG CUDA_VERSION=13.0.3
# CUDNN_VERSION is what follows 'cudnn' in the base image's tag: 8 up to CUDA 12.2, 9 at 12.3, empty from 12.4 on
ARG CUDNN_VERSION=
# IMAGE_FLAVOR is devel (with compilers) or runtime (smaller)
ARG IMAGE_FLAVOR=devel
# LINUX_DISTRO is the distribution in the base image's tag
ARG LINUX_DISTRO=ubuntu
# DISTRO_VERSION is the release in the base image's tag
ARG DISTRO_VERSION=24.04
# BUILD_IMAGE is the base image of the build stages; by default NVIDIA's of those versions
ARG BUILD_IMAGE=nvidia/cuda:${CUDA_VERSION}-cudnn${CUDNN_VERSION}-${IMAGE_FLAVOR}-${LINUX_DISTRO}${DISTRO_VERSION}
# TRAIN_IMAGE is the base image of the train stages
ARG TRAIN_IMAGE=${BUILD_IMAGE}
# DEPLOY_IMAGE is the base image of deploy; by default NVIDIA's runtime flavor of those versions, without CUDA PLAIN_IMAGE
ARG DEPLOY_IMAGE=nvidia/cuda:${CUDA_VERSION}-cudnn${CUDNN_VERSION}-runtime-${LINUX_DISTRO}${DISTRO_VERSION}
# SIMPLE_IMAGE is the base image of simple, any that there is: a TensorFlow image, python:3.12, one of your own
ARG SIMPLE_IMAGE=${TRAIN_IMAGE}

# CLEAN is any word; another one runs every step once more, and the compiler cache is kept
ARG CLEAN=
# UV_VERSION is the release of uv, which installs Python packages
ARG UV_VERSION=0.13.8
# PYTHON_VERSION is the Python of the environment; the distribution's own is used when it is that version
ARG PYTHON_VERSION=3.12

# PYTORCH_VERSION_TAG is the release of PyTorch, written v2.14.1 or 2.14.1; with include also a branch or commit
ARG PYTORCH_VERSION_TAG=v2.14.1
# TORCHVISION_VERSION_TAG is the release of TorchVision; empty leaves it out
ARG TORCHVISION_VERSION_TAG=v0.29.1
# TORCHAUDIO_VERSION_TAG is the release of TorchAudio; empty leaves it out
ARG TORCHAUDIO_VERSION_TAG=v2.11.0
# TORCHTEXT_VERSION_TAG is the release of TorchText, which ended at v0.18.0; empty leaves it out
ARG TORCHTEXT_VERSION_TAG=
# PYTORCH_INDEX_URL is the index of the official wheels; empty follows USE_CUDA and CUDA_VERSION
ARG PYTORCH_INDEX_URL=
# PYTORCH_FETCH_NIGHTLY is 1 for nightly wheels: the newest, or the tag's own if it names a .dev version
ARG PYTORCH_FETCH_NIGHTLY=0

# CCA is the compute capabilities to compile for, like 8.6 or '7.5 8.6+PTX'; needed by include with CUDA
ARG CCA=
# MKL_MODE is include to compile PyTorch with Intel's MKL, exclude for OpenBLAS
ARG MKL_MODE=include
# MAGMA_MODE is exclude for no MAGMA, source to compile it, prebuilt to fetch it
ARG MAGMA_MODE=exclude
# MAGMA_VERSION is the release of MAGMA, for source
ARG MAGMA_VERSION=v2.9.0
# MAGMA_URL is where MAGMA is from: its repository for source, an archive with its #sha256=... for prebuilt
ARG MAGMA_URL=https://github.com/icl-utk-edu/magma.git
# TORCH_NVCC_FLAGS is what nvcc is told besides
ARG TORCH_NVCC_FLAGS="-Xfatbin -compress-all"
# TORCH_BUILD_FLAGS is any other variables of PyTorch's build, like 'USE_DISTRIBUTED=0 USE_KINETO=0'
ARG TORCH_BUILD_FLAGS=
# COMPANION_BUILD_FLAGS is the same for TorchVision, TorchAudio and TorchText
ARG COMPANION_BUILD_FLAGS=
# PYTORCH_URL is the git repository of PyTorch
ARG PYTORCH_URL=https://github.com/pytorch/pytorch.git
# PYTORCH_COMMIT is the commit that PYTORCH_VERSION_TAG has to be; empty takes what it is
ARG PYTORCH_COMMIT=
# TORCHVISION_URL is the git repository of TorchVision
ARG TORCHVISION_URL=https://github.com/pytorch/vision.git
# TORCHVISION_COMMIT is the commit that TORCHVISION_VERSION_TAG has to be; empty takes what it is
ARG TORCHVISION_COMMIT=
# TORCHAUDIO_URL is the git repository of TorchAudio
ARG TORCHAUDIO_URL=https://github.com/pytorch/audio.git
# TORCHAUDIO_COMMIT is the commit that TORCHAUDIO_VERSION_TAG has to be; empty takes what it is
ARG TORCHAUDIO_COMMIT=
# TORCHTEXT_URL is the git repository of TorchText
ARG TORCHTEXT_URL=https://github.com/pytorch/text.git
# TORCHTEXT_COMMIT is the commit that TORCHTEXT_VERSION_TAG has to be; empty takes what it is
ARG TORCHTEXT_COMMIT=

# ADD_USER is include for the host's user inside the container, exclude for root
ARG ADD_USER=include
# UID is the number of the user inside the container
ARG UID=1000
# GID is the number of that user's group
ARG GID=1000
# USR is the name of the user inside the container
ARG USR=user
# GRP is the name of that user's group
ARG GRP=user
# SUDO is include for a user who may become root inside, without a password; exclude for one who may not
ARG SUDO=exclude
# SSH is include for an sshd that the user can start inside: docs/switches.md; exclude for none
ARG SSH=exclude
# TZ is the time zone, an IANA name
ARG TZ=Etc/UTC
# PROJECT_ROOT is where the code is inside the container
ARG PROJECT_ROOT=/opt/project
# PRELOAD is a library that every program inside is started with: none, jemalloc, tcmalloc or libiomp5
ARG PRELOAD=none


FROM scratch AS scripts
COPY --chmod=755 misc/image /


FROM scratch AS requirements
COPY --chmod=644 reqs/*.requirements.txt /


FROM scratch AS wheelhouse


FROM scratch AS sources


FROM scratch AS project


FROM ${BUILD_IMAGE} AS build-python
ARG CLEAN
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-packages.sh ca-certificates python3 python3-venv

ARG UV_VERSION
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-uv.sh,target=/run/cresset/install-uv.sh \
    --mount=type=cache,id=cresset-pip,target=/root/.cache/pip \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    /run/cresset/install-uv.sh /opt/uv


FROM build-python AS pick-wheels
ARG USE_CUDA
ARG CUDA_VERSION
ARG PYTORCH_VERSION_TAG
ARG TORCHVISION_VERSION_TAG
ARG TORCHAUDIO_VERSION_TAG
ARG TORCHTEXT_VERSION_TAG
RUN --mount=from=scripts,source=/pick-wheels.sh,target=/run/cresset/pick-wheels.sh \
    --mount=from=scripts,source=/wanted-wheels.sh,target=/run/cresset/wanted-wheels.sh \
    --mount=from=wheelhouse,target=/run/cresset/wheelhouse \
    /run/cresset/pick-wheels.sh /run/cresset/wheelhouse /tmp/picked


FROM build-python AS fetch-wheels
ARG PYTHON_VERSION
ARG USE_CUDA
ARG CUDA_VERSION
ARG PYTORCH_VERSION_TAG
ARG TORCHVISION_VERSION_TAG
ARG TORCHAUDIO_VERSION_TAG
ARG TORCHTEXT_VERSION_TAG
ARG PYTORCH_INDEX_URL
ARG PYTORCH_FETCH_NIGHTLY
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/fetch-wheels.sh,target=/run/cresset/fetch-wheels.sh \
    --mount=from=scripts,source=/wanted-wheels.sh,target=/run/cresset/wanted-wheels.sh \
    --mount=from=pick-wheels,source=/tmp/picked,target=/run/cresset/picked \
    --mount=type=cache,id=cresset-pip,target=/root/.cache/pip \
    --mount=type=cache,id=cresset-uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    --mount=type=secret,id=python_mirror \
    /run/cresset/fetch-wheels.sh /run/cresset/picked /tmp/dist


FROM build-python AS clone-base
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-packages.sh git


FROM clone-base AS clone-torch
ARG PYTORCH_VERSION_TAG
ARG PYTORCH_URL
ARG PYTORCH_COMMIT
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/clone.sh,target=/run/cresset/clone.sh \
    --mount=from=sources,target=/run/cresset/sources \
    --mount=type=cache,id=cresset-git-torch,target=/var/cache/cresset-git \
    --mount=type=secret,id=ca \
    /run/cresset/clone.sh torch "$PYTORCH_URL" "$PYTORCH_VERSION_TAG" "$PYTORCH_COMMIT" /tmp/source


FROM clone-base AS clone-vision
ARG TORCHVISION_VERSION_TAG
ARG TORCHVISION_URL
ARG TORCHVISION_COMMIT
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/clone.sh,target=/run/cresset/clone.sh \
    --mount=from=sources,target=/run/cresset/sources \
    --mount=type=cache,id=cresset-git-vision,target=/var/cache/cresset-git \
    --mount=type=secret,id=ca \
    /run/cresset/clone.sh vision "$TORCHVISION_URL" "$TORCHVISION_VERSION_TAG" "$TORCHVISION_COMMIT" /tmp/source


FROM clone-base AS clone-audio
ARG TORCHAUDIO_VERSION_TAG
ARG TORCHAUDIO_URL
ARG TORCHAUDIO_COMMIT
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/clone.sh,target=/run/cresset/clone.sh \
    --mount=from=sources,target=/run/cresset/sources \
    --mount=type=cache,id=cresset-git-audio,target=/var/cache/cresset-git \
    --mount=type=secret,id=ca \
    /run/cresset/clone.sh audio "$TORCHAUDIO_URL" "$TORCHAUDIO_VERSION_TAG" "$TORCHAUDIO_COMMIT" /tmp/source


FROM clone-base AS clone-text
ARG TORCHTEXT_VERSION_TAG
ARG TORCHTEXT_URL
ARG TORCHTEXT_COMMIT
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/clone.sh,target=/run/cresset/clone.sh \
    --mount=from=sources,target=/run/cresset/sources \
    --mount=type=cache,id=cresset-git-text,target=/var/cache/cresset-git \
    --mount=type=secret,id=ca \
    /run/cresset/clone.sh text "$TORCHTEXT_URL" "$TORCHTEXT_VERSION_TAG" "$TORCHTEXT_COMMIT" /tmp/source


FROM build-python AS build-base
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-packages.sh \
    build-essential ccache curl file git libjpeg-dev libopenblas-dev libpng-dev libwebp-dev lld patch pkg-config \
    python3-dev

ARG PYTHON_VERSION
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/make-build-env.sh,target=/run/cresset/make-build-env.sh \
    --mount=type=cache,id=cresset-uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    --mount=type=secret,id=python_mirror \
    /run/cresset/make-build-env.sh /opt/build


# Labels, and the arguments they need, stand in stages that nothing is built FROM: there they re-run no step.
FROM build-base AS install
ARG USE_CUDA CUDA_VERSION CUDNN_VERSION LINUX_DISTRO DISTRO_VERSION BUILD_IMAGE
LABEL cresset.stage=install cresset.arguments="\
USE_CUDA='${USE_CUDA}' CUDA_VERSION='${CUDA_VERSION}' CUDNN_VERSION='${CUDNN_VERSION}' LINUX_DISTRO='${LINUX_DISTRO}' \
DISTRO_VERSION='${DISTRO_VERSION}' BUILD_IMAGE='${BUILD_IMAGE}' PYTHON_VERSION='${PYTHON_VERSION}'"


FROM build-base AS choose-pins
ARG PYTORCH_VERSION_TAG
ARG TORCHVISION_VERSION_TAG
ARG TORCHAUDIO_VERSION_TAG
ARG TORCHTEXT_VERSION_TAG
RUN --mount=from=scripts,source=/choose-pins.py,target=/run/cresset/choose-pins.py \
    --mount=from=scripts,source=/pins.txt,target=/run/cresset/pins.txt \
    --mount=from=clone-torch,source=/tmp/source,target=/tmp/torch \
    /opt/build/bin/python /run/cresset/choose-pins.py /run/cresset/pins.txt /tmp/pins \
    torch="$(cat /tmp/torch/version.txt 2> /dev/null || echo "$PYTORCH_VERSION_TAG")" \
    torchvision="$TORCHVISION_VERSION_TAG" torchaudio="$TORCHAUDIO_VERSION_TAG" torchtext="$TORCHTEXT_VERSION_TAG"


FROM build-base AS fetch-magma
ARG CUDA_VERSION
ARG MAGMA_URL
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/fetch-magma.sh,target=/run/cresset/fetch-magma.sh \
    --mount=type=secret,id=ca \
    /run/cresset/fetch-magma.sh /opt/magma


FROM clone-base AS clone-magma
ARG MAGMA_VERSION
ARG MAGMA_URL
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/clone.sh,target=/run/cresset/clone.sh \
    --mount=from=sources,target=/run/cresset/sources \
    --mount=type=cache,id=cresset-git-magma,target=/var/cache/cresset-git \
    --mount=type=secret,id=ca \
    /run/cresset/clone.sh magma "$MAGMA_URL" "$MAGMA_VERSION" "" /tmp/source


FROM build-base AS build-magma
ARG USE_CUDA
ARG CCA
RUN --mount=from=scripts,source=/compile.sh,target=/run/cresset/compile.sh \
    --mount=from=scripts,source=/build-magma.sh,target=/run/cresset/build-magma.sh \
    --mount=from=clone-magma,source=/tmp/source,target=/tmp/magma,rw \
    --mount=type=cache,id=cresset-ccache,target=/root/.cache/ccache \
    --mount=type=secret,id=max_jobs --mount=type=secret,id=ccache_remote \
    /run/cresset/build-magma.sh /tmp/magma /opt/magma


FROM scratch AS magma-exclude


FROM scratch AS magma-prebuilt
COPY --from=fetch-magma /opt/magma /


FROM scratch AS magma-source
COPY --from=build-magma /opt/magma /


FROM magma-${MAGMA_MODE} AS magma


FROM build-base AS preflight
ARG USE_CUDA
ARG CUDA_VERSION
ARG BUILD_IMAGE
ARG CCA
RUN --mount=from=scripts,source=/compile.sh,target=/run/cresset/compile.sh \
    --mount=from=scripts,source=/preflight.sh,target=/run/cresset/preflight.sh \
    --mount=from=clone-torch,source=/tmp/source,target=/tmp/torch \
    --mount=type=secret,id=max_jobs \
    /run/cresset/preflight.sh /tmp/torch /tmp/preflight


FROM build-base AS build-torch
ARG USE_CUDA
ARG PYTORCH_VERSION_TAG
ARG CCA
ARG MKL_MODE
ARG TORCH_NVCC_FLAGS
ARG TORCH_BUILD_FLAGS
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/compile.sh,target=/run/cresset/compile.sh \
    --mount=from=scripts,source=/wheel.sh,target=/run/cresset/wheel.sh \
    --mount=from=scripts,source=/bundle-libraries.py,target=/run/cresset/bundle-libraries.py \
    --mount=from=scripts,source=/build-torch.sh,target=/run/cresset/build-torch.sh \
    --mount=from=choose-pins,source=/tmp/pins/torch.txt,target=/run/cresset/pins.txt \
    --mount=from=preflight,source=/tmp/preflight/found,target=/run/cresset/found \
    --mount=from=magma,target=/opt/magma \
    --mount=from=clone-torch,source=/tmp/source,target=/tmp/torch,rw \
    --mount=type=cache,id=cresset-ccache,target=/root/.cache/ccache \
    --mount=type=cache,id=cresset-uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    --mount=type=secret,id=max_jobs --mount=type=secret,id=ccache_remote \
    /run/cresset/build-torch.sh /tmp/torch /run/cresset/pins.txt /run/cresset/found /tmp/dist


FROM build-base AS build-vision
ARG USE_CUDA
ARG TORCHVISION_VERSION_TAG
ARG CCA
ARG COMPANION_BUILD_FLAGS
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/compile.sh,target=/run/cresset/compile.sh \
    --mount=from=scripts,source=/wheel.sh,target=/run/cresset/wheel.sh \
    --mount=from=scripts,source=/bundle-libraries.py,target=/run/cresset/bundle-libraries.py \
    --mount=from=scripts,source=/build-companion.sh,target=/run/cresset/build-companion.sh \
    --mount=from=choose-pins,source=/tmp/pins/torchvision.txt,target=/run/cresset/pins.txt \
    --mount=from=clone-vision,source=/tmp/source,target=/tmp/vision,rw \
    --mount=from=build-torch,source=/tmp/dist,target=/tmp/torch \
    --mount=type=cache,id=cresset-ccache,target=/root/.cache/ccache \
    --mount=type=cache,id=cresset-uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    --mount=type=secret,id=max_jobs --mount=type=secret,id=ccache_remote \
    /run/cresset/build-companion.sh torchvision "$TORCHVISION_VERSION_TAG" \
    /tmp/vision /tmp/torch /run/cresset/pins.txt /tmp/dist


FROM build-base AS build-audio
ARG USE_CUDA
ARG TORCHAUDIO_VERSION_TAG
ARG CCA
ARG COMPANION_BUILD_FLAGS
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/compile.sh,target=/run/cresset/compile.sh \
    --mount=from=scripts,source=/wheel.sh,target=/run/cresset/wheel.sh \
    --mount=from=scripts,source=/bundle-libraries.py,target=/run/cresset/bundle-libraries.py \
    --mount=from=scripts,source=/build-companion.sh,target=/run/cresset/build-companion.sh \
    --mount=from=choose-pins,source=/tmp/pins/torchaudio.txt,target=/run/cresset/pins.txt \
    --mount=from=clone-audio,source=/tmp/source,target=/tmp/audio,rw \
    --mount=from=build-torch,source=/tmp/dist,target=/tmp/torch \
    --mount=type=cache,id=cresset-ccache,target=/root/.cache/ccache \
    --mount=type=cache,id=cresset-uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    --mount=type=secret,id=max_jobs --mount=type=secret,id=ccache_remote \
    /run/cresset/build-companion.sh torchaudio "$TORCHAUDIO_VERSION_TAG" \
    /tmp/audio /tmp/torch /run/cresset/pins.txt /tmp/dist


FROM build-base AS build-text
ARG USE_CUDA
ARG TORCHTEXT_VERSION_TAG
ARG CCA
ARG COMPANION_BUILD_FLAGS
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/compile.sh,target=/run/cresset/compile.sh \
    --mount=from=scripts,source=/wheel.sh,target=/run/cresset/wheel.sh \
    --mount=from=scripts,source=/bundle-libraries.py,target=/run/cresset/bundle-libraries.py \
    --mount=from=scripts,source=/build-companion.sh,target=/run/cresset/build-companion.sh \
    --mount=from=choose-pins,source=/tmp/pins/torchtext.txt,target=/run/cresset/pins.txt \
    --mount=from=clone-text,source=/tmp/source,target=/tmp/text,rw \
    --mount=from=build-torch,source=/tmp/dist,target=/tmp/torch \
    --mount=type=cache,id=cresset-ccache,target=/root/.cache/ccache \
    --mount=type=cache,id=cresset-uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    --mount=type=secret,id=max_jobs --mount=type=secret,id=ccache_remote \
    /run/cresset/build-companion.sh torchtext "$TORCHTEXT_VERSION_TAG" \
    /tmp/text /tmp/torch /run/cresset/pins.txt /tmp/dist


FROM build-torch AS torch-include


FROM fetch-wheels AS torch-exclude


FROM torch-${BUILD_MODE} AS torch-wheels


FROM build-python AS pick-extensions
RUN --mount=from=scripts,source=/pick-extensions.sh,target=/run/cresset/pick-extensions.sh \
    --mount=from=requirements,source=/pip-build.requirements.txt,target=/run/cresset/pip.requirements.txt \
    /run/cresset/pick-extensions.sh /run/cresset/pip.requirements.txt /tmp/extensions


FROM build-python AS build-extensions
# Compilers only where there is something to compile: most people need none. Their archives are kept apart, lest this
# step waits for others when it has nothing to do.
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=pick-extensions,source=/tmp/extensions/any,target=/run/cresset/any \
    --mount=type=cache,id=cresset-apt-extensions,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    if [ -s /run/cresset/any ]; then /run/cresset/install-packages.sh build-essential ccache git patch python3-dev; fi

ARG USE_CUDA
ARG PYTHON_VERSION
ARG CCA
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/compile.sh,target=/run/cresset/compile.sh \
    --mount=from=scripts,source=/wheel.sh,target=/run/cresset/wheel.sh \
    --mount=from=scripts,source=/make-build-env.sh,target=/run/cresset/make-build-env.sh \
    --mount=from=scripts,source=/bundle-libraries.py,target=/run/cresset/bundle-libraries.py \
    --mount=from=scripts,source=/build-extensions.sh,target=/run/cresset/build-extensions.sh \
    --mount=from=pick-extensions,source=/tmp/extensions/requirements.txt,target=/run/cresset/requirements.txt \
    --mount=from=torch-wheels,source=/tmp/dist,target=/tmp/torch \
    --mount=type=cache,id=cresset-extensions,target=/var/cache/cresset-extensions \
    --mount=type=cache,id=cresset-ccache,target=/root/.cache/ccache \
    --mount=type=cache,id=cresset-uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    --mount=type=secret,id=python_mirror \
    --mount=type=secret,id=max_jobs --mount=type=secret,id=ccache_remote \
    /run/cresset/build-extensions.sh /run/cresset/requirements.txt /tmp/torch /tmp/dist


FROM scratch AS dist-include
COPY --from=build-torch /tmp/dist /tmp/dist
COPY --from=build-vision /tmp/dist /tmp/dist
COPY --from=build-audio /tmp/dist /tmp/dist
COPY --from=build-text /tmp/dist /tmp/dist
COPY --from=build-extensions /tmp/dist /tmp/dist


FROM scratch AS dist-exclude
COPY --from=fetch-wheels /tmp/dist /tmp/dist
COPY --from=build-extensions /tmp/dist /tmp/dist


# dist is the wheels of this configuration; an image of that name given as a named context takes its place
FROM dist-${BUILD_MODE} AS dist
ARG BUILD_MODE USE_CUDA CUDA_VERSION CUDNN_VERSION LINUX_DISTRO DISTRO_VERSION BUILD_IMAGE
ARG PYTHON_VERSION PYTORCH_VERSION_TAG TORCHVISION_VERSION_TAG TORCHAUDIO_VERSION_TAG TORCHTEXT_VERSION_TAG
ARG PYTORCH_INDEX_URL PYTORCH_FETCH_NIGHTLY CCA MKL_MODE MAGMA_MODE MAGMA_VERSION MAGMA_URL
ARG TORCH_NVCC_FLAGS TORCH_BUILD_FLAGS COMPANION_BUILD_FLAGS PYTORCH_URL PYTORCH_COMMIT
ARG TORCHVISION_URL TORCHVISION_COMMIT TORCHAUDIO_URL TORCHAUDIO_COMMIT TORCHTEXT_URL TORCHTEXT_COMMIT
LABEL cresset.stage=dist cresset.arguments="\
BUILD_MODE='${BUILD_MODE}' USE_CUDA='${USE_CUDA}' CUDA_VERSION='${CUDA_VERSION}' CUDNN_VERSION='${CUDNN_VERSION}' \
LINUX_DISTRO='${LINUX_DISTRO}' DISTRO_VERSION='${DISTRO_VERSION}' BUILD_IMAGE='${BUILD_IMAGE}' \
PYTHON_VERSION='${PYTHON_VERSION}' PYTORCH_VERSION_TAG='${PYTORCH_VERSION_TAG}' \
TORCHVISION_VERSION_TAG='${TORCHVISION_VERSION_TAG}' TORCHAUDIO_VERSION_TAG='${TORCHAUDIO_VERSION_TAG}' \
TORCHTEXT_VERSION_TAG='${TORCHTEXT_VERSION_TAG}' PYTORCH_INDEX_URL='${PYTORCH_INDEX_URL}' \
PYTORCH_FETCH_NIGHTLY='${PYTORCH_FETCH_NIGHTLY}' CCA='${CCA}' MKL_MODE='${MKL_MODE}' MAGMA_MODE='${MAGMA_MODE}' \
MAGMA_VERSION='${MAGMA_VERSION}' MAGMA_URL='${MAGMA_URL}' TORCH_NVCC_FLAGS='${TORCH_NVCC_FLAGS}' \
TORCH_BUILD_FLAGS='${TORCH_BUILD_FLAGS}' COMPANION_BUILD_FLAGS='${COMPANION_BUILD_FLAGS}' \
PYTORCH_URL='${PYTORCH_URL}' PYTORCH_COMMIT='${PYTORCH_COMMIT}' TORCHVISION_URL='${TORCHVISION_URL}' \
TORCHVISION_COMMIT='${TORCHVISION_COMMIT}' TORCHAUDIO_URL='${TORCHAUDIO_URL}' \
TORCHAUDIO_COMMIT='${TORCHAUDIO_COMMIT}' TORCHTEXT_URL='${TORCHTEXT_URL}' TORCHTEXT_COMMIT='${TORCHTEXT_COMMIT}'"


# The first step is build-python's, letter for letter: where both start from one image it runs once.
FROM ${TRAIN_IMAGE} AS train-python
ARG CLEAN
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-packages.sh ca-certificates python3 python3-venv


FROM train-python AS make-env
# Not build-python's: whoever has a torch image needs no build stage, nor its base image.
ARG UV_VERSION
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-uv.sh,target=/run/cresset/install-uv.sh \
    --mount=type=cache,id=cresset-pip,target=/root/.cache/pip \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    /run/cresset/install-uv.sh /opt/uv

ARG PYTHON_VERSION
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/make-env.sh,target=/run/cresset/make-env.sh \
    --mount=from=dist,source=/tmp/dist,target=/tmp/dist \
    --mount=type=cache,id=cresset-uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    --mount=type=secret,id=python_mirror \
    /run/cresset/make-env.sh /opt /tmp/dist


FROM train-python AS pick-packages
RUN --mount=from=scripts,source=/pick-packages.sh,target=/run/cresset/pick-packages.sh \
    --mount=from=requirements,source=/apt-train.requirements.txt,target=/run/cresset/apt.requirements.txt \
    --mount=from=requirements,source=/dnf-train.requirements.txt,target=/run/cresset/dnf.requirements.txt \
    /run/cresset/pick-packages.sh /run/cresset /tmp/packages


FROM train-python AS train-base
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=pick-packages,source=/tmp/packages/requirements.txt,target=/run/cresset/requirements.txt \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-packages.sh --requirements /run/cresset/requirements.txt passwd tmux tzdata zsh


FROM train-base AS train-env
# One level up: copied to a path that does not exist yet, the environment's folder would lose its group and mode.
COPY --from=make-env /opt /opt
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-requirements.sh,target=/run/cresset/install-requirements.sh \
    --mount=from=requirements,source=/pip-train.requirements.txt,target=/run/cresset/pip.requirements.txt \
    --mount=type=cache,id=cresset-uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    /run/cresset/install-requirements.sh /opt/venv /run/cresset/pip.requirements.txt


# Is it what was asked for? What it finds is copied into train, which so depends on it; nothing is built FROM it.
FROM train-env AS check-env
ARG BUILD_MODE USE_CUDA CUDA_VERSION CUDNN_VERSION LINUX_DISTRO DISTRO_VERSION TRAIN_IMAGE
ARG PYTHON_VERSION PYTORCH_VERSION_TAG TORCHVISION_VERSION_TAG TORCHAUDIO_VERSION_TAG TORCHTEXT_VERSION_TAG
ARG PYTORCH_INDEX_URL PYTORCH_FETCH_NIGHTLY CCA TORCH_BUILD_FLAGS COMPANION_BUILD_FLAGS
RUN --mount=from=scripts,source=/check-image.py,target=/run/cresset/check-image.py \
    --mount=type=secret,id=force \
    --mount=type=cache,id=cresset-bytecode,target=/var/cache/cresset-bytecode \
    /opt/venv/bin/python -IB /run/cresset/check-image.py environment /tmp/image.json


FROM train-env AS train-sudo-exclude


FROM train-env AS train-sudo-include
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=scripts,source=/allow-sudo.sh,target=/run/cresset/allow-sudo.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/allow-sudo.sh


FROM train-sudo-${SUDO} AS train-ssh-exclude


FROM train-sudo-${SUDO} AS train-ssh-include
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=scripts,source=/install-sshd.sh,target=/run/cresset/install-sshd.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-sshd.sh
COPY --from=scripts /serve-ssh.sh /usr/local/bin/serve-ssh


FROM train-ssh-${SSH} AS train-user-include
ARG UID
ARG GID
ARG USR
ARG GRP
RUN --mount=from=scripts,source=/create-user.sh,target=/run/cresset/create-user.sh \
    /run/cresset/create-user.sh
# By number: the account of that number may have had its name in the base image already.
USER ${UID}


FROM train-ssh-${SSH} AS train-user-exclude
RUN --mount=from=scripts,source=/create-user.sh,target=/run/cresset/create-user.sh \
    /run/cresset/create-user.sh


# Away from check-env, so that another user imports no PyTorch.
FROM train-user-${ADD_USER} AS check-user
ARG ADD_USER UID GID USR GRP
RUN --mount=from=scripts,source=/check-image.py,target=/run/cresset/check-image.py \
    --mount=type=secret,id=force \
    --mount=from=check-env,source=/tmp/image.json,target=/run/cresset/image.json \
    /opt/venv/bin/python -IB /run/cresset/check-image.py account /run/cresset/image.json /tmp/image.json


# Away from train, so that the library is fetched once, whoever the user is and whatever is installed.
FROM train-python AS install-preload
ARG PRELOAD
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=scripts,source=/install-preload.sh,target=/run/cresset/install-preload.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=cache,id=cresset-pip,target=/root/.cache/pip \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    /run/cresset/install-preload.sh "$PRELOAD" /opt/preload


FROM train-user-${ADD_USER} AS train-preload-none


# What PyTorch's own guide to performance says, but for memory that is given back after half a minute instead of never.
FROM train-user-${ADD_USER} AS train-preload-jemalloc
COPY --from=install-preload /opt/preload /opt/preload
ENV LD_PRELOAD=/opt/preload/libjemalloc.so.2 \
    MALLOC_CONF=background_thread:true,metadata_thp:auto,dirty_decay_ms:30000,muzzy_decay_ms:30000


FROM train-user-${ADD_USER} AS train-preload-tcmalloc
COPY --from=install-preload /opt/preload /opt/preload
ENV LD_PRELOAD=/opt/preload/libtcmalloc_minimal.so.4


# Milliseconds that a thread waits for more work before it sleeps: Intel's 200 keep the processors from DataLoader workers.
FROM train-user-${ADD_USER} AS train-preload-libiomp5
COPY --from=install-preload /opt/preload /opt/preload
ENV LD_PRELOAD=/opt/preload/libiomp5.so KMP_BLOCKTIME=1


FROM train-preload-${PRELOAD} AS train
COPY --from=scripts --chmod=644 /zshrc /etc/zsh/zshrc
COPY --from=scripts --chmod=644 /tmux.conf /etc/tmux.conf
COPY --from=check-user --chmod=644 /tmp/image.json /opt/image.json
ARG BUILD_MODE USE_CUDA CUDA_VERSION CUDNN_VERSION LINUX_DISTRO DISTRO_VERSION BUILD_IMAGE TRAIN_IMAGE
ARG PYTHON_VERSION PYTORCH_VERSION_TAG TORCHVISION_VERSION_TAG TORCHAUDIO_VERSION_TAG TORCHTEXT_VERSION_TAG
ARG PYTORCH_INDEX_URL PYTORCH_FETCH_NIGHTLY CCA MKL_MODE MAGMA_MODE MAGMA_VERSION MAGMA_URL
ARG TORCH_NVCC_FLAGS TORCH_BUILD_FLAGS COMPANION_BUILD_FLAGS PYTORCH_URL PYTORCH_COMMIT
ARG TORCHVISION_URL TORCHVISION_COMMIT TORCHAUDIO_URL TORCHAUDIO_COMMIT TORCHTEXT_URL TORCHTEXT_COMMIT
ARG ADD_USER UID GID USR GRP SUDO SSH TZ PROJECT_ROOT PRELOAD
ENV TZ=${TZ} \
    LANG=C.UTF-8 \
    PATH=/opt/venv/bin:/opt/uv/bin:${PATH}:${PROJECT_ROOT} \
    PYTHONPATH=${PROJECT_ROOT} \
    PYTHONUNBUFFERED=1 \
    VIRTUAL_ENV=/opt/venv \
    PIP_CONSTRAINT=/opt/constraints.txt \
    UV_CONSTRAINT=/opt/constraints.txt \
    UV_LINK_MODE=copy
WORKDIR ${PROJECT_ROOT}
CMD ["zsh"]
LABEL cresset.stage=train cresset.arguments="\
BUILD_MODE='${BUILD_MODE}' USE_CUDA='${USE_CUDA}' CUDA_VERSION='${CUDA_VERSION}' CUDNN_VERSION='${CUDNN_VERSION}' \
LINUX_DISTRO='${LINUX_DISTRO}' DISTRO_VERSION='${DISTRO_VERSION}' BUILD_IMAGE='${BUILD_IMAGE}' \
TRAIN_IMAGE='${TRAIN_IMAGE}' PYTHON_VERSION='${PYTHON_VERSION}' PYTORCH_VERSION_TAG='${PYTORCH_VERSION_TAG}' \
TORCHVISION_VERSION_TAG='${TORCHVISION_VERSION_TAG}' TORCHAUDIO_VERSION_TAG='${TORCHAUDIO_VERSION_TAG}' \
TORCHTEXT_VERSION_TAG='${TORCHTEXT_VERSION_TAG}' PYTORCH_INDEX_URL='${PYTORCH_INDEX_URL}' \
PYTORCH_FETCH_NIGHTLY='${PYTORCH_FETCH_NIGHTLY}' CCA='${CCA}' MKL_MODE='${MKL_MODE}' MAGMA_MODE='${MAGMA_MODE}' \
MAGMA_VERSION='${MAGMA_VERSION}' MAGMA_URL='${MAGMA_URL}' TORCH_NVCC_FLAGS='${TORCH_NVCC_FLAGS}' \
TORCH_BUILD_FLAGS='${TORCH_BUILD_FLAGS}' COMPANION_BUILD_FLAGS='${COMPANION_BUILD_FLAGS}' \
PYTORCH_URL='${PYTORCH_URL}' PYTORCH_COMMIT='${PYTORCH_COMMIT}' TORCHVISION_URL='${TORCHVISION_URL}' \
TORCHVISION_COMMIT='${TORCHVISION_COMMIT}' TORCHAUDIO_URL='${TORCHAUDIO_URL}' \
TORCHAUDIO_COMMIT='${TORCHAUDIO_COMMIT}' TORCHTEXT_URL='${TORCHTEXT_URL}' TORCHTEXT_COMMIT='${TORCHTEXT_COMMIT}' \
ADD_USER='${ADD_USER}' UID='${UID}' GID='${GID}' USR='${USR}' GRP='${GRP}' SUDO='${SUDO}' SSH='${SSH}' TZ='${TZ}' \
PROJECT_ROOT='${PROJECT_ROOT}' PRELOAD='${PRELOAD}'"


# The steps of train-python and make-env, letter for letter: where both start from one image they run once.
FROM ${DEPLOY_IMAGE} AS deploy-python
ARG CLEAN
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-packages.sh ca-certificates python3 python3-venv


FROM deploy-python AS make-deploy-env
ARG UV_VERSION
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-uv.sh,target=/run/cresset/install-uv.sh \
    --mount=type=cache,id=cresset-pip,target=/root/.cache/pip \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    /run/cresset/install-uv.sh /opt/uv

ARG PYTHON_VERSION
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/make-env.sh,target=/run/cresset/make-env.sh \
    --mount=from=dist,source=/tmp/dist,target=/tmp/dist \
    --mount=type=cache,id=cresset-uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    --mount=type=secret,id=python_mirror \
    /run/cresset/make-env.sh /opt /tmp/dist


FROM make-deploy-env AS lean-env
RUN VIRTUAL_ENV=/opt/venv /opt/uv/bin/uv pip uninstall pip && rm -r /opt/uv


FROM deploy-python AS pick-deploy-packages
RUN --mount=from=scripts,source=/pick-packages.sh,target=/run/cresset/pick-packages.sh \
    --mount=from=requirements,source=/apt-deploy.requirements.txt,target=/run/cresset/apt.requirements.txt \
    --mount=from=requirements,source=/dnf-deploy.requirements.txt,target=/run/cresset/dnf.requirements.txt \
    /run/cresset/pick-packages.sh /run/cresset /tmp/packages


FROM ${DEPLOY_IMAGE} AS deploy-base
ARG CLEAN
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=pick-deploy-packages,source=/tmp/packages/requirements.txt,target=/run/cresset/requirements.txt \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-packages.sh --requirements /run/cresset/requirements.txt passwd

# A number that hosts hardly use: nobody's files are this account's.
RUN groupadd --gid 65501 deploy && \
    useradd --no-log-init --create-home --shell /usr/sbin/nologin --uid 65501 --gid deploy deploy


FROM deploy-base AS project-files
COPY --from=project / /project/
RUN chmod -R u=rwX,go=rX /project


FROM deploy-base AS deploy-env
COPY --from=lean-env /opt /opt
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-requirements.sh,target=/run/cresset/install-requirements.sh \
    --mount=from=requirements,source=/pip-deploy.requirements.txt,target=/run/cresset/pip.requirements.txt \
    --mount=from=make-deploy-env,source=/opt/uv,target=/opt/uv \
    --mount=type=cache,id=cresset-uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    [ -x /opt/venv/bin/python ] || { echo 'cresset: python3 has to be in reqs/apt-deploy.requirements.txt' \
    '(dnf-deploy in the RHEL family): the environment is made with it' >&2 && exit 1; } && \
    /run/cresset/install-requirements.sh /opt/venv /run/cresset/pip.requirements.txt


# As check-env.
FROM deploy-env AS check-deploy
ARG BUILD_MODE USE_CUDA CUDA_VERSION CUDNN_VERSION LINUX_DISTRO DISTRO_VERSION DEPLOY_IMAGE
ARG PYTHON_VERSION PYTORCH_VERSION_TAG TORCHVISION_VERSION_TAG TORCHAUDIO_VERSION_TAG TORCHTEXT_VERSION_TAG
ARG PYTORCH_INDEX_URL PYTORCH_FETCH_NIGHTLY CCA TORCH_BUILD_FLAGS COMPANION_BUILD_FLAGS
RUN --mount=from=scripts,source=/check-image.py,target=/run/cresset/check-image.py \
    --mount=type=secret,id=force \
    --mount=type=cache,id=cresset-bytecode,target=/var/cache/cresset-bytecode \
    /opt/venv/bin/python -IB /run/cresset/check-image.py environment /tmp/image.json


FROM deploy-env AS deploy
COPY --from=check-deploy --chmod=644 /tmp/image.json /opt/image.json
ARG BUILD_MODE USE_CUDA CUDA_VERSION CUDNN_VERSION LINUX_DISTRO DISTRO_VERSION BUILD_IMAGE DEPLOY_IMAGE
ARG PYTHON_VERSION PYTORCH_VERSION_TAG TORCHVISION_VERSION_TAG TORCHAUDIO_VERSION_TAG TORCHTEXT_VERSION_TAG
ARG PYTORCH_INDEX_URL PYTORCH_FETCH_NIGHTLY CCA MKL_MODE MAGMA_MODE MAGMA_VERSION MAGMA_URL
ARG TORCH_NVCC_FLAGS TORCH_BUILD_FLAGS COMPANION_BUILD_FLAGS PYTORCH_URL PYTORCH_COMMIT
ARG TORCHVISION_URL TORCHVISION_COMMIT TORCHAUDIO_URL TORCHAUDIO_COMMIT TORCHTEXT_URL TORCHTEXT_COMMIT
ARG TZ PROJECT_ROOT
COPY --from=project-files /project ${PROJECT_ROOT}
ENV TZ=${TZ} \
    LANG=C.UTF-8 \
    PATH=/opt/venv/bin:${PATH}:${PROJECT_ROOT} \
    PYTHONPATH=${PROJECT_ROOT} \
    PYTHONUNBUFFERED=1 \
    VIRTUAL_ENV=/opt/venv
USER 65501
WORKDIR ${PROJECT_ROOT}
CMD ["python"]
LABEL cresset.stage=deploy cresset.arguments="\
BUILD_MODE='${BUILD_MODE}' USE_CUDA='${USE_CUDA}' CUDA_VERSION='${CUDA_VERSION}' CUDNN_VERSION='${CUDNN_VERSION}' \
LINUX_DISTRO='${LINUX_DISTRO}' DISTRO_VERSION='${DISTRO_VERSION}' BUILD_IMAGE='${BUILD_IMAGE}' \
DEPLOY_IMAGE='${DEPLOY_IMAGE}' PYTHON_VERSION='${PYTHON_VERSION}' PYTORCH_VERSION_TAG='${PYTORCH_VERSION_TAG}' \
TORCHVISION_VERSION_TAG='${TORCHVISION_VERSION_TAG}' TORCHAUDIO_VERSION_TAG='${TORCHAUDIO_VERSION_TAG}' \
TORCHTEXT_VERSION_TAG='${TORCHTEXT_VERSION_TAG}' PYTORCH_INDEX_URL='${PYTORCH_INDEX_URL}' \
PYTORCH_FETCH_NIGHTLY='${PYTORCH_FETCH_NIGHTLY}' CCA='${CCA}' MKL_MODE='${MKL_MODE}' MAGMA_MODE='${MAGMA_MODE}' \
MAGMA_VERSION='${MAGMA_VERSION}' MAGMA_URL='${MAGMA_URL}' TORCH_NVCC_FLAGS='${TORCH_NVCC_FLAGS}' \
TORCH_BUILD_FLAGS='${TORCH_BUILD_FLAGS}' COMPANION_BUILD_FLAGS='${COMPANION_BUILD_FLAGS}' \
PYTORCH_URL='${PYTORCH_URL}' PYTORCH_COMMIT='${PYTORCH_COMMIT}' TORCHVISION_URL='${TORCHVISION_URL}' \
TORCHVISION_COMMIT='${TORCHVISION_COMMIT}' TORCHAUDIO_URL='${TORCHAUDIO_URL}' \
TORCHAUDIO_COMMIT='${TORCHAUDIO_COMMIT}' TORCHTEXT_URL='${TORCHTEXT_URL}' TORCHTEXT_COMMIT='${TORCHTEXT_COMMIT}' \
TZ='${TZ}' PROJECT_ROOT='${PROJECT_ROOT}'"


FROM build-base AS devel-base
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-packages.sh tmux tzdata zsh


FROM devel-base AS devel-sudo-exclude


FROM devel-base AS devel-sudo-include
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=scripts,source=/allow-sudo.sh,target=/run/cresset/allow-sudo.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/allow-sudo.sh


FROM devel-sudo-${SUDO} AS devel-user-include
ARG UID
ARG GID
ARG USR
ARG GRP
RUN --mount=from=scripts,source=/create-user.sh,target=/run/cresset/create-user.sh \
    /run/cresset/create-user.sh
USER ${UID}


FROM devel-sudo-${SUDO} AS devel-user-exclude
RUN --mount=from=scripts,source=/create-user.sh,target=/run/cresset/create-user.sh \
    /run/cresset/create-user.sh


FROM devel-user-${ADD_USER} AS devel
COPY --from=scripts --chmod=644 /zshrc /etc/zsh/zshrc
COPY --from=scripts --chmod=644 /tmux.conf /etc/tmux.conf
ARG USE_CUDA CUDA_VERSION CUDNN_VERSION LINUX_DISTRO DISTRO_VERSION BUILD_IMAGE
ARG ADD_USER UID GID USR GRP SUDO TZ PROJECT_ROOT
ENV TZ=${TZ} \
    LANG=C.UTF-8 \
    PATH=/opt/build/bin:/opt/uv/bin:${PATH}:${PROJECT_ROOT} \
    PYTHONUNBUFFERED=1 \
    VIRTUAL_ENV=/opt/build \
    UV_LINK_MODE=copy
WORKDIR ${PROJECT_ROOT}
CMD ["zsh"]
LABEL cresset.stage=devel cresset.arguments="\
USE_CUDA='${USE_CUDA}' CUDA_VERSION='${CUDA_VERSION}' CUDNN_VERSION='${CUDNN_VERSION}' LINUX_DISTRO='${LINUX_DISTRO}' \
DISTRO_VERSION='${DISTRO_VERSION}' BUILD_IMAGE='${BUILD_IMAGE}' PYTHON_VERSION='${PYTHON_VERSION}' \
ADD_USER='${ADD_USER}' UID='${UID}' GID='${GID}' USR='${USR}' GRP='${GRP}' SUDO='${SUDO}' TZ='${TZ}' \
PROJECT_ROOT='${PROJECT_ROOT}'"


# What makes the environment is not what the base image has to have, which may name a user of its own.
FROM ${SIMPLE_IMAGE} AS simple-uv
# hadolint ignore=DL3002
USER 0
ARG CLEAN
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    python3 -c 'import ensurepip' || /run/cresset/install-packages.sh ca-certificates python3 python3-venv

ARG UV_VERSION
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-uv.sh,target=/run/cresset/install-uv.sh \
    --mount=type=cache,id=cresset-pip,target=/root/.cache/pip \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    /run/cresset/install-uv.sh /opt/uv


FROM ${SIMPLE_IMAGE} AS pick-simple-packages
# hadolint ignore=DL3002
USER 0
RUN --mount=from=scripts,source=/pick-packages.sh,target=/run/cresset/pick-packages.sh \
    --mount=from=requirements,source=/apt-simple.requirements.txt,target=/run/cresset/apt.requirements.txt \
    --mount=from=requirements,source=/dnf-simple.requirements.txt,target=/run/cresset/dnf.requirements.txt \
    /run/cresset/pick-packages.sh /run/cresset /tmp/packages


FROM ${SIMPLE_IMAGE} AS simple-base
# hadolint ignore=DL3002
USER 0
ARG CLEAN
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=pick-simple-packages,source=/tmp/packages/requirements.txt,target=/run/cresset/requirements.txt \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    if command -v python3 || command -v python; then set --; else set -- python3; fi && \
    /run/cresset/install-packages.sh --requirements /run/cresset/requirements.txt \
    ca-certificates findutils passwd tmux tzdata zsh "$@"


FROM simple-base AS simple-env
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/make-simple-env.sh,target=/run/cresset/make-simple-env.sh \
    --mount=from=requirements,source=/pip-simple.requirements.txt,target=/run/cresset/pip.requirements.txt \
    --mount=from=simple-uv,source=/opt/uv,target=/run/cresset/uv \
    --mount=type=cache,id=cresset-pip,target=/root/.cache/pip \
    --mount=type=cache,id=cresset-uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    /run/cresset/make-simple-env.sh /run/cresset/uv/bin/uv /opt/simple /run/cresset/pip.requirements.txt


FROM simple-env AS simple-sudo-exclude


FROM simple-env AS simple-sudo-include
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=scripts,source=/allow-sudo.sh,target=/run/cresset/allow-sudo.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/allow-sudo.sh


FROM simple-sudo-${SUDO} AS simple-ssh-exclude


FROM simple-sudo-${SUDO} AS simple-ssh-include
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=scripts,source=/install-sshd.sh,target=/run/cresset/install-sshd.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-sshd.sh
COPY --from=scripts /serve-ssh.sh /usr/local/bin/serve-ssh


FROM simple-ssh-${SSH} AS simple-user-include
ARG UID
ARG GID
ARG USR
ARG GRP
RUN --mount=from=scripts,source=/create-user.sh,target=/run/cresset/create-user.sh \
    /run/cresset/create-user.sh
USER ${UID}


FROM simple-ssh-${SSH} AS simple-user-exclude
RUN --mount=from=scripts,source=/create-user.sh,target=/run/cresset/create-user.sh \
    /run/cresset/create-user.sh


# The base image is anybody's: only of the account is anything claimed.
FROM simple-user-${ADD_USER} AS check-simple
ARG ADD_USER UID GID USR GRP
RUN --mount=from=scripts,source=/check-image.py,target=/run/cresset/check-image.py \
    --mount=type=secret,id=force \
    /opt/simple/bin/python -IB /run/cresset/check-image.py account /tmp/image.json


FROM simple-uv AS install-simple-preload
ARG PRELOAD
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=scripts,source=/install-preload.sh,target=/run/cresset/install-preload.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=cache,id=cresset-pip,target=/root/.cache/pip \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    /run/cresset/install-preload.sh "$PRELOAD" /opt/preload


FROM simple-user-${ADD_USER} AS simple-preload-none


FROM simple-user-${ADD_USER} AS simple-preload-jemalloc
COPY --from=install-simple-preload /opt/preload /opt/preload
ENV LD_PRELOAD=/opt/preload/libjemalloc.so.2 \
    MALLOC_CONF=background_thread:true,metadata_thp:auto,dirty_decay_ms:30000,muzzy_decay_ms:30000


FROM simple-user-${ADD_USER} AS simple-preload-tcmalloc
COPY --from=install-simple-preload /opt/preload /opt/preload
ENV LD_PRELOAD=/opt/preload/libtcmalloc_minimal.so.4


FROM simple-user-${ADD_USER} AS simple-preload-libiomp5
COPY --from=install-simple-preload /opt/preload /opt/preload
ENV LD_PRELOAD=/opt/preload/libiomp5.so KMP_BLOCKTIME=1


FROM simple-preload-${PRELOAD} AS simple
COPY --from=scripts --chmod=644 /zshrc /etc/zsh/zshrc
COPY --from=scripts --chmod=644 /tmux.conf /etc/tmux.conf
COPY --from=check-simple --chmod=644 /tmp/image.json /opt/image.json
ARG SIMPLE_IMAGE ADD_USER UID GID USR GRP SUDO SSH TZ PROJECT_ROOT PRELOAD
ENV TZ=${TZ} \
    LANG=C.UTF-8 \
    PATH=/opt/simple/bin:${PATH}:${PROJECT_ROOT} \
    PYTHONPATH=${PROJECT_ROOT} \
    PYTHONUNBUFFERED=1 \
    VIRTUAL_ENV=/opt/simple
WORKDIR ${PROJECT_ROOT}
# The base image's own would be given the shell as an argument, and what it looks after does not run then.
ENTRYPOINT []
HEALTHCHECK NONE
CMD ["zsh"]
LABEL cresset.stage=simple cresset.arguments="SIMPLE_IMAGE='${SIMPLE_IMAGE}' \
ADD_USER='${ADD_USER}' UID='${UID}' GID='${GID}' USR='${USR}' GRP='${GRP}' SUDO='${SUDO}' SSH='${SSH}' \
TZ='${TZ}' PROJECT_ROOT='${PROJECT_ROOT}' PRELOAD='${PRELOAD}'"
