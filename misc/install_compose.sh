#!/usr/bin/env bash
# Installs Compose V2 and Buildx as Docker plugins of the current user, without root:
#
#     bash misc/install_compose.sh [--force]          or, from any shell,          . misc/install_compose.sh
#
# Sourced, it hands itself to a bash of its own: the shell that reads it keeps its options, names and life. Run by sh or
# zsh, it hands over to bash. Up to the line below it is therefore written for them too.
case ${BASH_VERSION:+bash}:${ZSH_EVAL_CONTEXT-}:$(readlink -f -- "$0") in
    bash:*) [ "${BASH_SOURCE[0]}" = "$0" ] || { bash "${BASH_SOURCE[0]}"; return; } ;;
    ::/*/install_compose.sh | :toplevel:/*/install_compose.sh) exec bash "$0" "$@" ;;
    *file:/*/install_compose.sh) bash "$0"; return ;;  # zsh names in $0 what it sources
    *)  # sh does not say what it sources
        [ ! -r misc/install_compose.sh ] || { bash misc/install_compose.sh; return; }
        echo 'install_compose.sh: run it as: bash PATH/misc/install_compose.sh' >&2
        return 2
        ;;
esac
# ------------------------------------------------------------------------------------------------- bash from here on
set -euo pipefail +o posix

# shellcheck source=packages.sh
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/packages.sh"

# Always a pair: Compose 2.40 does not build with a Buildx older than 0.17.
COMPOSE_RELEASE=2.40.3
BUILDX_RELEASE=0.29.1
RELEASES=https://github.com/docker
WORK=''  # a temporary folder that the two plugins come together in

# download_release REPOSITORY VERSION FILE PLUGIN: checked against the checksums that the release publishes
download_release() {
    local page=$RELEASES/$1/releases/download/v$2
    fetch "$page/checksums.txt" "$WORK/checksums" && fetch "$page/$3" "$WORK/$3" || return 1
    if ! (cd "$WORK" && grep -E "^[0-9a-f]{64} [ *]$3\$" checksums | sha256sum --check --strict --status); then
        fail "$page/$3 does not have the checksum that its release publishes" 'try again; on a proxy, ask who runs it'
    fi
    mv "$WORK/$3" "$WORK/$4"
}

take_releases() {
    local machine go_machine
    machine=$(uname -m)
    case $machine in
        x86_64) go_machine=amd64 ;;
        aarch64) go_machine=arm64 ;;
        *) return 1 ;;
    esac
    fetch "$RELEASES" /dev/null 5 || return 1
    download_release compose "$COMPOSE_RELEASE" "docker-compose-linux-$machine" docker-compose &&
        download_release buildx "$BUILDX_RELEASE" "buildx-v$BUILDX_RELEASE.linux-$go_machine" docker-buildx
}

# The index is apt's own, fetched into a private root (no root, no change to the host's); apt checks the signed index
# and with it the packages.
take_packages() {
    local id codename suites packages apt
    has apt-get && { read -r id && read -r codename; } < <(release) || return 1
    case $id:$codename in
        debian:bookworm) suites=trixie packages='docker-compose docker-buildx' ;;
        debian:*) suites=$codename packages='docker-compose docker-buildx' ;;
        ubuntu:*) suites="$codename $codename-updates" packages='docker-compose-v2 docker-buildx' ;;
        *) return 1 ;;
    esac
    mkdir -p "$WORK"/{lists/partial,cache/archives/partial,empty}
    {
        printf '%s\n' 'Types: deb' "Suites: $suites" "Components: main$([[ $id != ubuntu ]] || echo ' universe')"
        mirror_of "$codename" oldstable stable
    } >"$WORK/archive.sources" || return 1
    apt=(apt-get --quiet=2
        -o Dir::State::Lists="$WORK/lists" -o Dir::State::Status=/dev/null -o Dir::Cache="$WORK/cache"
        -o Dir::Etc::SourceList="$WORK/archive.sources" -o Dir::Etc::SourceParts="$WORK/empty"
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts="$WORK/empty"
        -o Acquire::Languages=none -o APT::Sandbox::User=)
    (
        cd "$WORK"
        # shellcheck disable=SC2086  # two words
        "${apt[@]}" update && "${apt[@]}" download $packages || exit
        for file in ./*.deb; do dpkg-deb -x "$file" unpacked; done
    ) >&2 || return 1
    find "$WORK/unpacked" -path '*/cli-plugins/docker-*' -exec mv {} "$WORK" \;
}

# version_of PLUGIN: what the binary says of itself; fails where it does not run here
version_of() { "$WORK/$1" docker-cli-plugin-metadata | sed -nE 's/.*"Version": *"v?([^"]+)".*/\1/p' | grep .; }

# place PLUGIN: whole or not at all, also over one that is running
place() {
    install -m 755 "$WORK/$1" "$FOLDER/.$1.new" && mv -f "$FOLDER/.$1.new" "$FOLDER/$1"
}

main() {
    local compose buildx
    case ${1-} in
        '') ! plugins_answer || return 0 ;;
        --force) ;;
        *) fail "install_compose.sh: unknown option $1 (usage: bash misc/install_compose.sh [--force])" ;;
    esac
    FOLDER=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    take_releases || take_packages ||
        fail "neither $RELEASES nor a package of this distribution has Compose and Buildx for this machine" \
            'put docker-compose and docker-buildx into '"$FOLDER"' by hand'
    { compose=$(version_of docker-compose) && buildx=$(version_of docker-buildx); } ||
        fail 'the plugins that came do not run on this machine' 'install those of your distribution'
    { at_least "$compose" "$(minimum compose)" && at_least "$buildx" "$(minimum buildx)"; } ||
        fail "Compose $compose and Buildx $buildx came; $(minimum compose) and $(minimum buildx) are needed" \
            "put newer ones into $FOLDER by hand"
    { mkdir -p "$FOLDER" && place docker-compose && place docker-buildx; } ||
        fail "$FOLDER cannot be written" "sudo chown -R \"\$(id -un):\" ${FOLDER%/*}"
    say "Compose $compose and Buildx $buildx are in $FOLDER"
}

main "$@"
