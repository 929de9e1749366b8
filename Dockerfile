# The stages, from what rarely changes to what changes daily. Indented: built FROM the stage above.
#
#   scripts, requirements    files of this repository, with the modes of no particular checkout
#   wheelhouse               the host's folder of wheels: a named context takes this stage's place
#
#   build-base               BUILD_IMAGE + Python + uv
#       pick-wheels              from the wheelhouse, only the wheels asked for
#       fetch-wheels             the official wheels: from pick-wheels, otherwise from the index
#   dist-exclude -> dist     every wheel of this configuration, in /tmp/dist
#
#   train-python             TRAIN_IMAGE + Python
#       make-env                 /opt/venv with the wheels of dist and what they depend on
#       train-base               the apt requirements
#           train-env                make-env's /opt, and the pip requirements on top
#               train-user-include       the host's user      } ADD_USER chooses one
#               train-user-exclude       root                 }
#                   train                    shell, time zone, environment: what people use
#
# Each ARG has its default here and nowhere else, below one line that says what it is; a stage that needs it names it
# again without a value. An ARG is in the environment of every later RUN of its stage and of the stages built FROM it,
# so it counts there whether it is used or not: name it as late as possible, and never who, where or when in a build-*
# stage. What must not count at all (CA bundle, index URLs, mirrors) comes as a secret.


# BUILD_MODE is where PyTorch comes from: exclude takes the official wheels
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

# PYTHON_VERSION is the Python of the environment; the distribution's own is used when it is that version
ARG PYTHON_VERSION=3.12
# UV_VERSION is the release of uv, which installs Python packages
ARG UV_VERSION=0.13.8

# PYTORCH_VERSION_TAG is the release of PyTorch, written v2.14.1 or 2.14.1
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
# TZ is the time zone, an IANA name
ARG TZ=Etc/UTC
# PROJECT_ROOT is where the code is inside the container
ARG PROJECT_ROOT=/opt/project


FROM scratch AS scripts
COPY --chmod=755 misc/image /


FROM scratch AS requirements
COPY --chmod=644 reqs/*.requirements.txt /


FROM scratch AS wheelhouse


FROM ${BUILD_IMAGE} AS build-base
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


FROM build-base AS pick-wheels
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


FROM build-base AS fetch-wheels
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


FROM scratch AS dist-exclude
COPY --from=fetch-wheels /tmp/dist /tmp/dist


# dist is the wheels of this configuration; an image of that name given as a named context takes its place
FROM dist-${BUILD_MODE} AS dist


# The first step is build-base's, letter for letter: where both start from one image it runs once.
FROM ${TRAIN_IMAGE} AS train-python
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-packages.sh ca-certificates python3 python3-venv


FROM train-python AS make-env
COPY --from=build-base /opt/uv /opt/uv
ARG PYTHON_VERSION
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/make-env.sh,target=/run/cresset/make-env.sh \
    --mount=from=dist,source=/tmp/dist,target=/tmp/dist \
    --mount=type=cache,id=cresset-uv,target=/root/.cache/uv \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    --mount=type=secret,id=python_mirror \
    /run/cresset/make-env.sh /opt /tmp/dist


FROM train-python AS train-base
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=requirements,source=/apt-train.requirements.txt,target=/run/cresset/apt.requirements.txt \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-packages.sh --requirements /run/cresset/apt.requirements.txt tmux tzdata zsh


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


FROM train-env AS train-user-include
ARG UID
ARG GID
ARG USR
ARG GRP
RUN --mount=from=scripts,source=/create-user.sh,target=/run/cresset/create-user.sh \
    /run/cresset/create-user.sh
# By number: the account of that number may have had its name in the base image already.
USER ${UID}


FROM train-env AS train-user-exclude
RUN --mount=from=scripts,source=/create-user.sh,target=/run/cresset/create-user.sh \
    /run/cresset/create-user.sh


FROM train-user-${ADD_USER} AS train
COPY --from=scripts --chmod=644 /zshrc /etc/zsh/zshrc
COPY --from=scripts --chmod=644 /tmux.conf /etc/tmux.conf
ARG TZ
ARG PROJECT_ROOT
ENV TZ=${TZ} \
    PATH=/opt/venv/bin:/opt/uv/bin:${PATH} \
    PYTHONPATH=${PROJECT_ROOT} \
    PYTHONUNBUFFERED=1 \
    VIRTUAL_ENV=/opt/venv \
    PIP_CONSTRAINT=/opt/constraints.txt \
    UV_CONSTRAINT=/opt/constraints.txt \
    UV_LINK_MODE=copy
WORKDIR ${PROJECT_ROOT}
CMD ["zsh"]
