# NVIDIA's own image of PyTorch with what a person adds. Its stack stays as it is: what is added goes into an environment
# of its own, /opt/venv, which sees the stack, and constraints keep pip from putting another version before anything there.
#
#   scripts, requirements    files of this repository, with the modes of no particular checkout
#
#   ngc-base                 NGC_IMAGE + the apt requirements
#       ngc-stack                less what reqs/pip-ngc-uninstall lists; /opt/venv, empty
#           ngc-env                  the pip requirements
#               ngc-user-include         the host's user      } ADD_USER chooses one
#               ngc-user-exclude         root                 }
#                   ngc                      shell, time zone, environment: what people use
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
ARG TZ=Etc/UTC
ARG PROJECT_ROOT=/opt/project


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


FROM ngc-env AS ngc-user-include
ARG UID
ARG GID
ARG USR
ARG GRP
RUN --mount=from=scripts,source=/create-user.sh,target=/run/cresset/create-user.sh \
    /run/cresset/create-user.sh
# By number: the account of that number may have had its name in the base image already.
USER ${UID}


FROM ngc-env AS ngc-user-exclude
RUN --mount=from=scripts,source=/create-user.sh,target=/run/cresset/create-user.sh \
    /run/cresset/create-user.sh


# The base image's ENTRYPOINT stays: it sets up what its stack needs, and then runs the command.
FROM ngc-user-${ADD_USER} AS ngc
COPY --from=scripts --chmod=644 /zshrc /etc/zsh/zshrc
COPY --from=scripts --chmod=644 /tmux.conf /etc/tmux.conf
ARG NGC_YEAR NGC_MONTH NGC_IMAGE
ARG ADD_USER UID GID USR GRP TZ PROJECT_ROOT
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
ADD_USER='${ADD_USER}' UID='${UID}' GID='${GID}' USR='${USR}' GRP='${GRP}' TZ='${TZ}' PROJECT_ROOT='${PROJECT_ROOT}'"
