#!/usr/bin/env bash
# Sets up what is missing on this machine, then runs a command in the project's environment:
#
#     bash misc/setup.sh [--yes] [COMMAND...]
#
# What needs root is a piece of shell text: shown, asked for, then run, or handed to an administrator.
# An engine that answers is never upgraded, and restarted only to get the GPUs, which stops no container unasked.
#
# Run by sh or zsh it hands over to bash: up to the line below it is therefore written for them too.
case ${BASH_VERSION:+bash}:${ZSH_EVAL_CONTEXT-}:$(readlink -f -- "$0") in
    bash:*) ;;
    ::/*/setup.sh | :toplevel:/*/setup.sh) exec bash "$0" "$@" ;;
    *) echo 'setup.sh is run, not sourced: bash PATH/misc/setup.sh' >&2; return 2 ;;
esac
# ------------------------------------------------------------------------------------------------- bash from here on
if [[ ${BASH_SOURCE[0]-} == "$0" ]]; then
    set -euo pipefail +o posix
else
    printf 'setup.sh is run, not sourced: bash %q\n' "${BASH_SOURCE[0]:-PATH/misc/setup.sh}" >&2
    # A person's shell stays as it was; a script's goes on to the functions, which is how the tests get them.
    [[ $- != *i* && ${BASH_SOURCE[0]-} ]] || return 2 2>/dev/null || exit 2
fi

# shellcheck source=packages.sh
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/packages.sh"
# shellcheck source=environment.sh
. "$ROOT/misc/environment.sh"
# shellcheck source=gpu.sh
. "$ROOT/misc/gpu.sh"

SOCKET=/var/run/docker.sock
ENGINE_MANUAL=https://docs.docker.com/engine/install/
DOCKERD_LOG=/var/log/dockerd.log
PID_FILE=/var/run/docker.pid

YES=0      # --yes was given
MEMBER=''  # own or docker: the command must go through `sg docker`, with that group first
STATE=''   # what look_at_engine saw: ready, denied, stopped, absent, elsewhere
ENGINE=''  # the version that answered
ENDPOINT=''


# -- words and turns ---------------------------------------------------------------------------------------------------

# quote WORD...: the words for any POSIX shell (sg runs /bin/sh, which lacks bash's $'...')
quote() {
    local word line=''
    for word; do line+=" '${word//\'/\'\\\'\'}'"; done
    printf '%s' "${line# }"
}

# Two runs in one checkout take turns. The folder itself is the lock: nothing to clean up, and read-only will do.
take_turn() {
    has flock || return 0
    exec 9<"$ROOT"
    flock --wait 2 9 2>/dev/null && return
    (($? == 1)) || return 0  # a file system without locks
    say 'another setup is at work in this checkout: waiting for it'
    flock 9
}


# -- root -------------------------------------------------------------------------------------------------------------

am_root() { ((EUID == 0)); }

on_terminal() { [[ -t 0 ]]; }

can_be_root() { am_root || { has sudo && { sudo -n true 2>/dev/null || on_terminal; }; }; }

# The lock is closed: a daemon that is started here must not keep it.
as_root() {
    if am_root; then bash -euc "$1" 9<&-; else sudo bash -euc "$1" 9<&-; fi
}

agreed() {
    local answer
    ((!YES)) || return 0
    on_terminal || { am_root; return; }
    read -r -p "$1 [Y/n] " answer && [[ $answer =~ ^([Yy].*)?$ ]]
}

# offer WHAT TEXT: says what for, shows the text, asks and runs it; fails where it was not run or did not work
offer() {
    say "$1:"
    show "$2"
    if ! can_be_root; then
        say 'that needs root, and there is no sudo here: an administrator must run these lines'
    elif ! agreed 'Run these lines as root?'; then
        say 'not run (--yes agrees without asking)'
    elif as_root "$2" >&2; then
        return 0
    else
        say 'that failed: see above'
    fi
    return 1
}


# -- Docker Engine ----------------------------------------------------------------------------------------------------

# Somebody listens on the socket (or it is another machine's, mounted): a file that was left behind is no engine.
is_served() { grep -qsE "(/var)?/run/docker\.sock( |\$)" /proc/net/unix /proc/self/mountinfo; }

# Docker was told to use another engine than the one that this machine starts; sets ENDPOINT.
is_elsewhere() {
    ENDPOINT=${DOCKER_HOST:-$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || true)}
    [[ ${ENDPOINT:=unix://$SOCKET} != unix://@(/var|)/run/docker.sock ]]
}

# Sets STATE and ENGINE (the version).
look_at_engine() {
    local problem
    STATE=ready
    ENGINE=$(docker version --format '{{.Server.Version}}' 2>/dev/null) && return
    problem=$(docker version 2>&1 >/dev/null || true)
    if is_elsewhere; then
        STATE=elsewhere
    elif [[ $problem == *'permission denied'* ]] && is_served; then
        STATE=denied
    elif has docker && has dockerd; then
        STATE=stopped
    else
        STATE=absent
    fi
}

ensure_engine() {
    look_at_engine
    [[ $STATE != absent ]] || install_engine || return 0
    [[ $STATE != stopped ]] || start_engine || return 0
    [[ $STATE != denied ]] || join_group || return 0
    if [[ $STATE == elsewhere ]]; then
        say "the engine at $ENDPOINT does not answer (DOCKER_HOST or the Docker context names it): start that one"
        return
    fi
    at_least "$ENGINE" "$(minimum engine)" ||
        fail "Docker Engine $ENGINE answers, $(minimum engine) or newer is needed: upgrade it as $ENGINE_MANUAL says"
    ensure_plugins
}

on_wsl() { grep -qsi microsoft /proc/sys/kernel/osrelease; }

install_engine() {
    local text
    if [[ $(uname -s) == Darwin ]]; then
        say 'no engine answers: start Docker Desktop (setup installs nothing on macOS)'
        return 1
    elif on_wsl; then
        say 'no engine answers: on WSL Docker Desktop serves; start it on Windows, then switch this distribution on' \
            'under Settings > Resources > WSL integration'
        return 1
    elif ! text=$(install_text); then
        say "no Docker Engine here, and setup knows Debian and Ubuntu only: see $ENGINE_MANUAL"
        return 1
    fi
    can_be_root || text+=$'\n'$(ways_to_start | tail -n 1)
    am_root || text+=$'\n'$(membership_text)
    offer 'Docker Engine, Compose and Buildx are missing; this installs them' "$text" || return 1
    look_at_engine
    [[ $STATE != absent ]] || { say 'there is still no engine'; return 1; }
}


# -- its daemon, its group, its plugins -------------------------------------------------------------------------------

has_systemd() { [[ -d /run/systemd/system ]]; }

has_service() { [[ -x /etc/init.d/docker ]] && has service; }

# One line each, the preferred one first.
ways_to_start() {
    if has_systemd; then
        printf 'systemctl enable --now docker\n'
    else
        ! has_service || printf 'service docker start\n'
        # What a killed daemon left behind: to the next one its number may look taken for a while.
        [[ ! -e $PID_FILE ]] || is_daemon_alive || printf 'rm -f %s; ' "$PID_FILE"
        # shellcheck disable=SC2016  # root's PATH, not ours
        printf 'PATH=$PATH:/usr/sbin:/sbin setsid --fork dockerd </dev/null >>%s 2>&1; sleep 1\n' "$DOCKERD_LOG"
    fi
}

start_engine() {
    local text
    if ! can_be_root; then
        say 'the engine is installed but stopped; an administrator must run:'
        show "$(ways_to_start | tail -n 1)"
        return 1
    fi
    while IFS= read -r text <&3; do
        say "the engine is installed but stopped; starting it: $text"
        if as_root "$text" >&2 3<&- && wait_for_engine; then return 0; fi
    done 3< <(ways_to_start)
    show_last_words 'the engine does not start; its last words:'
    return 1
}

show_last_words() {
    say "$1"
    show "$(if has_systemd; then journalctl -qu docker -n 5; else tail -n 5 "$DOCKERD_LOG"; fi 2>&1)"
}

# Not one that has ended and is still listed.
is_daemon_alive() { grep -qs '(dockerd) [^ZX]' /proc/[0-9]*/stat; }

# Up to 30 s; a daemon that died is not waited for.
wait_for_engine() {
    local left
    for ((left = 60; left > 0; left--)); do
        sleep 0.5
        look_at_engine
        [[ $STATE == stopped ]] || return 0
        is_daemon_alive || return 1
    done
    return 1
}

membership_text() { printf 'usermod -aG docker %s\n' "$(quote "$(id -un)")"; }

join_group() {
    local user
    user=$(id -un)
    if [[ " $(id -nG "$user") " != *' docker '* ]]; then
        offer "$user may not use Docker; this adds $user to group docker (members can become root on this host)" \
            "$(membership_text)" || return 1
    fi
    # This session does not have the group yet.
    if has sg; then
        for MEMBER in own docker; do
            ENGINE=$(eval "$(as_member docker version --format '{{.Server.Version}}')" 2>/dev/null) || continue
            STATE=ready
            return
        done
    fi
    MEMBER=''
    say "$user is in group docker, but this session is not: log in again"
    return 1
}

# as_member WORD...: the shell text that runs the words with group docker. sg makes it the first group, the one of new
# files; a second sg puts the person's own back in front, where sg keeps the others (shadow 4.13 does, 4.17 does not).
as_member() {
    local text
    text="exec $(quote "$@")"
    [[ $MEMBER == docker ]] || text="exec sg $(quote "$(id -gn)") -c $(quote "$text")"
    printf 'sg docker -c %s' "$(quote "$text")"
}

ensure_plugins() {
    ! plugins_answer || return 0
    say "Compose $(minimum compose) and Buildx $(minimum buildx) or newer are missing; misc/install_compose.sh puts" \
        "them into ${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins"
    agreed 'Run it?' || { say 'not run (--yes agrees without asking)'; return 0; }
    bash "$ROOT/misc/install_compose.sh" || true
}

warn_about_config() {
    local folder=${DOCKER_CONFIG:-$HOME/.docker}
    if ! am_root && [[ -e $folder && ! -O $folder ]]; then
        say "$folder is not yours, so Docker cannot write there: sudo chown -R \"\$(id -un):\" $folder"
    fi
}


# -- the run ----------------------------------------------------------------------------------------------------------

run_command() {
    export VIRTUAL_ENV=$VENV PATH=$VENV/bin:$PATH
    unset PYTHONHOME
    cd "$ROOT"
    exec 9<&-
    [[ -z $MEMBER ]] || eval "exec $(as_member "$@")"
    exec "$@"
}

main() {
    local usage='usage: bash misc/setup.sh [--yes] [COMMAND...]'
    while [[ ${1-} == -* ]]; do
        case $1 in
            -y | --yes) YES=1 ;;
            -h | --help) printf '%s\n' "$usage"; exit ;;
            --) shift; break ;;
            *) fail "setup.sh: unknown option $1 ($usage)" ;;
        esac
        shift
    done
    take_turn
    warn_about_config
    ensure_engine
    ensure_gpu
    ensure_environment
    (($# == 0)) || run_command "$@"
}

[[ ${BASH_SOURCE[0]} == "$0" ]] || return 2
main "$@"
