#!/usr/bin/env bash
# Looks for what is known to go wrong inside a container, mends what the person inside may mend, and says so:
#
#     bash misc/fixes.sh          (inside the container, in the folder of the project)
#
# Each fix tries the thing itself first, so a second run changes nothing. A fix lasts as long as the container; what
# should last longer is named as a line for `reqs/`. Exit code 1: something is left that cannot be mended from here.
set -uo pipefail

VENV='' # found below
export PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
any='' left=''

mended() { any=1 && printf 'mended: %s\n' "$1" "${@:2}" | sed '2,$s/^mended:/   /'; }
cannot() { any=1 left=1 && printf 'not mended: %s\n' "$1" "${@:2}" | sed '2,$s/^not mended:/   /'; }
python() { "$VENV/bin/python" "$@"; }

# The image's environment, whatever a person has activated: below /opt, of the group that create-user.sh makes.
find_environment() {
    getent group 65500 > /dev/null || return 1
    for VENV in "${VIRTUAL_ENV:-}" /opt/{simple,venv,build}; do
        [[ $VENV != /opt/* || ! -x $VENV/bin/python || $(stat -c %g "$VENV") != 65500 ]] || return 0
    done
    return 1
}

# Whether the environment lies on top of a base image's packages, as those of simple and ngc do.
is_overlay() { grep -qs '^include-system-site-packages = true' "$VENV/pyvenv.cfg"; }

# uv does not count what lies beneath an environment as installed.
install() {
    if ! is_overlay && command -v uv > /dev/null; then
        VIRTUAL_ENV=$VENV uv pip install --quiet -- "$@"
    else
        python -m pip install --quiet -- "$@"
    fi
}


# git trusts no repository of another account's, and a mounted folder has the owner that it has on the host.
fix_git() {
    local said folder
    command -v git > /dev/null || return 0
    said=$(git status 2>&1 > /dev/null)
    [[ $said == *'dubious ownership'* ]] || return 0
    folder=$(sed -nE "s/.*dubious ownership in repository at '(.*)'.*/\1/p" <<< "$said")
    if git config --global --add safe.directory "$folder" && git status > /dev/null 2>&1; then
        mended "git works in $folder, which belongs to another account (safe.directory in ~/.gitconfig)"
    else
        cannot "git works not in $folder, which belongs to another account: $said"
    fi
}

# pip renames what it replaces to ~ame; interrupted, it leaves that behind and complains about it ever after.
fix_leftovers() {
    local one
    for one in "$VENV"/lib/python*/site-packages/'~'*; do
        [[ -e $one ]] || continue
        if rm -rf "$one" 2> /dev/null; then
            mended "removed ${one##*/}, which an interrupted pip left behind"
        else
            cannot "${one##*/}, which an interrupted pip left behind, is not yours to remove"
        fi
    done
}

# What root installs, by sudo or 'exec --user root', nobody else can replace.
fix_permissions() {
    local found
    if ((EUID == 0)); then
        # In an image of root's own there is nobody else.
        [[ $(getent group 65500) != *:root ]] || return 0
        found=$(find "$VENV" -type d ! -perm -g=w -print -exec chgrp -R 65500 {} + -exec chmod -R g+w {} + \
            -exec chmod g+s {} + | wc -l)
        ((!found)) || mended "packages in $found folders of $VENV can be changed by all accounts here, not only by root"
    else
        found=$(find "$VENV" -type d ! -writable | wc -l)
        ((!found)) || cannot "$found folders of $VENV are root's, so their packages cannot be changed; on the host:" \
            "docker compose exec --user root SERVICE bash misc/fixes.sh"
    fi
}

# pip installs what another package asks for even where PyTorch asks for something else: nvidia-*, triton and their like.
fix_requirements() {
    local kind what unmet=() constraints=${UV_CONSTRAINT:-${VENV%/*}/constraints.txt}
    # An image without a PyTorch of its own has none, and what a base image's packages lack is the base's affair.
    [[ -r $constraints ]] || return 0
    while read -r kind what; do
        if [[ $kind == unmet ]]; then
            is_overlay || unmet+=("$what")
        else
            cannot "$what; a fresh container has it: invoke up"
        fi
    done < <(python - "$constraints" << 'END'
import importlib.metadata as metadata
import sys

from pip._vendor.packaging.requirements import Requirement


def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


for line in open(sys.argv[1]):
    name, _, chosen = line.strip().partition("==")
    if version(name) is None or not Requirement(line.strip()).specifier.contains(version(name), prereleases=True):
        print("replaced", name, "is", version(name) or "missing", "instead of", chosen)
        continue
    for wanted in map(Requirement, metadata.requires(name) or []):
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        if version(wanted.name) is None or not wanted.specifier.contains(version(wanted.name), prereleases=True):
            print("unmet", f"{wanted.name}{wanted.specifier}")
END
    )
    ((${#unmet[@]})) || return 0
    if install "${unmet[@]}"; then
        mended "installed what PyTorch asks for: ${unmet[*]}"
    else
        cannot "PyTorch asks for ${unmet[*]}, which could not be installed"
    fi
}

# A folder in LD_LIBRARY_PATH with another libstdc++ or CUDA, often conda's, comes before the libraries that fit.
look_at_library_path() {
    local said
    [[ ${LD_LIBRARY_PATH:-} ]] && ! said=$(python -c 'import torch' 2>&1) || return 0
    env -u LD_LIBRARY_PATH "$VENV/bin/python" -c 'import torch' 2> /dev/null || return 0
    cannot "torch does not start because of LD_LIBRARY_PATH=$LD_LIBRARY_PATH (${said##*$'\n'})" \
        'remove it from where it is set: ~/.zshrc, or environment: in docker-compose.override.yaml'
    unset LD_LIBRARY_PATH
}

# PyTorch before 2.3 was compiled against NumPy 1 and does without any other.
fix_numpy() {
    local said
    said=$(python -c 'import torch; torch.zeros(1).numpy()' 2>&1) || true
    [[ $said == *'Numpy is not available'* ]] || return 0
    if install 'numpy<2'; then
        mended 'this PyTorch works with NumPy 1 only: installed it' \
            "for good: the line 'numpy<2' in reqs/pip-*.requirements.txt"
    else
        cannot "this PyTorch works with NumPy 1 only, which could not be installed"
    fi
}

# OpenCV's usual wheels want the libraries of a desktop; the headless ones are the same without windows.
fix_opencv() {
    local said name version names=() spec=() wheels
    said=$(python -c 'import cv2' 2>&1) && return
    [[ $said == *'cannot open shared object file'* ]] || return 0
    while IFS='=' read -r name _ version; do
        names+=("$name")
        spec+=("${name%-headless}-headless==$version")
    done < <(python -m pip list --format freeze | tr _ - | grep -E '^opencv-(contrib-)?python(-headless)?==')
    wheels=$(mktemp -d)
    # The two cannot stand side by side: only what has been fetched and seen to start takes the other's place.
    if ((${#spec[@]})) &&
        python -m pip download --quiet --no-deps --only-binary :all: --dest "$wheels" "${spec[@]}" &&
        python -m pip install --quiet --no-deps --no-index --target "$wheels/tried" "$wheels"/*.whl &&
        PYTHONPATH=$wheels/tried python -c 'import cv2' &&
        python -m pip uninstall --quiet --yes "${names[@]}" &&
        python -m pip install --quiet --no-deps --no-index "$wheels"/*.whl && python -c 'import cv2'; then
        mended "cv2 starts: ${spec[*]} in place of the wheel with windows (${said##*$'\n'})" \
            "for good: the headless name in reqs/pip-*.requirements.txt, or, to have windows, 'libgl1' and" \
            "'libglib2.0-0' in reqs/apt-*.requirements.txt"
    else
        cannot "cv2 does not start: ${said##*$'\n'}" "add 'libgl1' and 'libglib2.0-0' to reqs/apt-*.requirements.txt"
    fi 2> /dev/null
    rm -r "$wheels"
}

# New terminals (kitty, ghostty) come with names that a distribution does not know, and ssh brings them inside.
fix_terminal() {
    [[ ${TERM:-dumb} != dumb ]] && command -v infocmp tic > /dev/null && ! infocmp "$TERM" > /dev/null 2>&1 || return 0
    if tic -x -o ~/.terminfo - <<< "$TERM|taken for xterm-256color, use=xterm-256color," 2> /dev/null; then
        mended "the terminal $TERM is known: as xterm-256color, in ~/.terminfo"
    else
        cannot "the terminal $TERM is unknown here: TERM=xterm-256color will do"
    fi
}


if ! find_environment; then
    echo 'error: fixes.sh: this is no container of Cresset, and nothing was touched' >&2
    echo 'hint: run it inside the container: invoke exec, then bash misc/fixes.sh' >&2
    exit 2
fi
fix_git
fix_leftovers
fix_permissions
fix_requirements
look_at_library_path
fix_numpy
fix_opencv
fix_terminal
[[ $any ]] || echo 'nothing needed mending'
exit $((${left:-0}))
