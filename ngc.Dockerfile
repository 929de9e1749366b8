# NVIDIA's own image of PyTorch with what a person adds. Its stack stays as it is: what is added goes into an environment
# of its own, /opt/venv, which sees the stack, and constraints keep pip from putting another version before anything there.
#
#   scripts, requirements    files of this repository, with the modes of no particular checkout
#
#   ngc-base                 NGC_IMAGE + the apt requirements
#       ngc-stack                less what reqs/pip-ngc-uninstall lists; /opt/venv, empty
#           ngc-env                  the pip requirements
#               ngc-sudo-*, -ssh-*       } what each setting chooses,
#                   ngc-user-*           } as in Dockerfile
#                       check-ngc        is that the account that was asked for?
#                       ngc-preload-*    }
#                           ngc              shell, time zone, environment: what people use
#       install-preload          the library of PRELOAD
#
# What Dockerfile says of ARGs holds here too. Those that both have are explained there; tests hold the defaults equal.


# NGC_YEAR is the year of NVIDIA's release of its PyTorch image, in two digits
ARG NGC_YEAR=26
# NGC_MONTH is the month of that release, in two digits
ARG NGC_MONTH=09
# NGC_IMAGE is the base image of the service ngc; by default NVIDIA's of that release
ARG NGC_IMAGE=nvcr.io/nvidia/pytorch:${NGC_YEAR}.${NGC_MONTH}-py3

ARG CLEAN=

ARG ADD_USER=include
ARG UID=1000
ARG GID=1000
ARG USR=user
ARG GRP=user
ARG SUDO=exclude
ARG SSH=exclude
ARG TZ=Etc/UTC
ARG PROJECT_ROOT=/opt/project
ARG PRELOAD=none


FROM scratch AS scripts
COPY --chmod=755 misc/image /


FROM scratch AS requirements
COPY --chmod=644 reqs/*.requirements.txt /


FROM ${NGC_IMAGE} AS ngc-base
ARG CLEAN
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=requirements,source=/apt-ngc.requirements.txt,target=/run/cresset/apt.requirements.txt \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-packages.sh --requirements /run/cresset/apt.requirements.txt tmux tzdata zsh


FROM ngc-base AS ngc-stack
RUN --mount=from=scripts,source=/make-overlay.sh,target=/run/cresset/make-overlay.sh \
    --mount=from=scripts,source=/constraints.py,target=/run/cresset/constraints.py \
    --mount=from=requirements,source=/pip-ngc-uninstall.requirements.txt,target=/run/cresset/gone.requirements.txt \
    /run/cresset/make-overlay.sh /opt /run/cresset/gone.requirements.txt


FROM ngc-stack AS ngc-env
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/fill-overlay.sh,target=/run/cresset/fill-overlay.sh \
    --mount=from=requirements,source=/pip-ngc.requirements.txt,target=/run/cresset/pip.requirements.txt \
    --mount=type=cache,id=cresset-pip,target=/root/.cache/pip \
    --mount=type=secret,id=ca --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    /run/cresset/fill-overlay.sh /opt /run/cresset/pip.requirements.txt


FROM ngc-env AS ngc-sudo-exclude


FROM ngc-env AS ngc-sudo-include
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=scripts,source=/allow-sudo.sh,target=/run/cresset/allow-sudo.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/allow-sudo.sh


FROM ngc-sudo-${SUDO} AS ngc-ssh-exclude


FROM ngc-sudo-${SUDO} AS ngc-ssh-include
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=scripts,source=/install-sshd.sh,target=/run/cresset/install-sshd.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror \
    /run/cresset/install-sshd.sh
COPY --from=scripts /serve-ssh.sh /usr/local/bin/serve-ssh


FROM ngc-ssh-${SSH} AS ngc-user-include
ARG UID
ARG GID
ARG USR
ARG GRP
RUN --mount=from=scripts,source=/create-user.sh,target=/run/cresset/create-user.sh \
    /run/cresset/create-user.sh
# By number: the account of that number may have had its name in the base image already.
USER ${UID}


FROM ngc-ssh-${SSH} AS ngc-user-exclude
RUN --mount=from=scripts,source=/create-user.sh,target=/run/cresset/create-user.sh \
    /run/cresset/create-user.sh


# NVIDIA's stack is NVIDIA's: only of the account is anything claimed.
FROM ngc-user-${ADD_USER} AS check-ngc
ARG ADD_USER UID GID USR GRP
RUN --mount=from=scripts,source=/check-image.py,target=/run/cresset/check-image.py \
    --mount=type=secret,id=force \
    /opt/venv/bin/python -IB /run/cresset/check-image.py account /tmp/image.json


FROM ngc-base AS install-preload
ARG PRELOAD
RUN --mount=from=scripts,source=/network.sh,target=/run/cresset/network.sh \
    --mount=from=scripts,source=/install-packages.sh,target=/run/cresset/install-packages.sh \
    --mount=from=scripts,source=/install-preload.sh,target=/run/cresset/install-preload.sh \
    --mount=type=cache,id=cresset-apt,target=/var/cache/cresset-apt,sharing=locked \
    --mount=type=cache,id=cresset-pip,target=/root/.cache/pip \
    --mount=type=secret,id=ca --mount=type=secret,id=apt_mirror --mount=type=secret,id=index_url \
    --mount=type=secret,id=extra_index_url --mount=type=secret,id=trusted_host \
    /run/cresset/install-preload.sh "$PRELOAD" /opt/preload


FROM ngc-user-${ADD_USER} AS ngc-preload-none


FROM ngc-user-${ADD_USER} AS ngc-preload-jemalloc
COPY --from=install-preload /opt/preload /opt/preload
ENV LD_PRELOAD=/opt/preload/libjemalloc.so.2 \
    MALLOC_CONF=background_thread:true,metadata_thp:auto,dirty_decay_ms:30000,muzzy_decay_ms:30000


FROM ngc-user-${ADD_USER} AS ngc-preload-tcmalloc
COPY --from=install-preload /opt/preload /opt/preload
ENV LD_PRELOAD=/opt/preload/libtcmalloc_minimal.so.4


FROM ngc-user-${ADD_USER} AS ngc-preload-libiomp5
COPY --from=install-preload /opt/preload /opt/preload
ENV LD_PRELOAD=/opt/preload/libiomp5.so KMP_BLOCKTIME=1


# The base image's ENTRYPOINT stays: it sets up what its stack needs, and then runs the command.
FROM ngc-preload-${PRELOAD} AS ngc
COPY --from=scripts --chmod=644 /zshrc /etc/zsh/zshrc
COPY --from=scripts --chmod=644 /tmux.conf /etc/tmux.conf
COPY --from=check-ngc --chmod=644 /tmp/image.json /opt/image.json
ARG NGC_YEAR NGC_MONTH NGC_IMAGE
ARG ADD_USER UID GID USR GRP SUDO SSH TZ PROJECT_ROOT PRELOAD
ENV TZ=${TZ} \
    LANG=C.UTF-8 \
    PATH=/opt/venv/bin:${PATH}:${PROJECT_ROOT} \
    PYTHONPATH=${PROJECT_ROOT} \
    PYTHONUNBUFFERED=1 \
    VIRTUAL_ENV=/opt/venv \
    PIP_CONSTRAINT=/opt/constraints.txt \
    UV_CONSTRAINT=/opt/constraints.txt \
    UV_LINK_MODE=copy
WORKDIR ${PROJECT_ROOT}
CMD ["zsh"]
LABEL cresset.stage=ngc cresset.arguments="\
NGC_YEAR='${NGC_YEAR}' NGC_MONTH='${NGC_MONTH}' NGC_IMAGE='${NGC_IMAGE}' \
ADD_USER='${ADD_USER}' UID='${UID}' GID='${GID}' USR='${USR}' GRP='${GRP}' SUDO='${SUDO}' SSH='${SSH}' \
TZ='${TZ}' PROJECT_ROOT='${PROJECT_ROOT}' PRELOAD='${PRELOAD}'"
