#!/usr/bin/env bash
# Make a plain Debian or Ubuntu base image from the host's own package mirror, where no registry can be reached.
#
# Whoever may use docker may use this; root is not needed. debootstrap runs as root of a helper container, which is
# empty but for the host's programs (/usr, read-only), and fills a folder there that is streamed into `docker import`.
# debootstrap knows containers and goes on where it cannot mount /proc: some of Docker's default capabilities suffice.
#
# Run by sh or zsh it hands over to bash: up to the line below it is therefore written for them too.
case ${BASH_VERSION:+bash}:${ZSH_EVAL_CONTEXT-}:$(readlink -f -- "$0") in
bash:*) ;;
::/*/base_image.sh | :toplevel:/*/base_image.sh) exec bash "$0" "$@" ;;
*) echo 'base_image.sh is run, not sourced: bash PATH/misc/base_image.sh' >&2 && return 2 ;;
esac
# ------------------------------------------------------------------------------------------------- bash from here on
[[ ${BASH_SOURCE[0]-} != "$0" ]] || set -euo pipefail +o posix

usage() {
    cat <<'END'
usage: misc/base_image.sh [options] NAME [SUITE]

Make the image NAME, a minimal Debian or Ubuntu, unless there is an image of that name.
SUITE is the code name of a release; without it the host's own.

  --mirror URL     take packages from URL rather than from the mirror that the host's apt uses
  --network NAME   network of the helper container: `host` for a mirror that only the host reaches
  --force          make the image even if there is one
END
}

fail() { # MESSAGE HINT
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 2
}

hide_password() {
    sed -E 's#(://)[^/@[:space:]]+@#\1#g'
}

is_name() { # NAME; whether the engine's rules allow it: [registry/]path[:tag], the path in lower case
    local LC_ALL=C label='[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?' part='[a-z0-9]+((\.|_{1,2}|-+)[a-z0-9]+)*'
    [[ $1 =~ ^($label(\.$label)*(:[0-9]+)?/)?$part(/$part)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$ ]]
}

host_suite() { # prints the code name of this host's release, for a derivative of Ubuntu that of Ubuntu's
    # shellcheck source=/dev/null
    (. /etc/os-release && printf '%s\n' "${UBUNTU_CODENAME:-${VERSION_CODENAME:-}}")
}

signed_by() { # FILE:NUMBER, as apt counts the lines of a .list and the stanzas of a .sources; prints the keyring's path
    local file=${1%:*} number=${1##*:}
    case $file in
    *.sources)
        awk -v RS= -v number="$number" '
            /(^|\n)Types:/ && ++count == number && match($0, /(^|\n)Signed-By:[ \t]*\/[^ \t,\n]+/) {
                path = substr($0, RSTART, RLENGTH)
                sub(/^[^\/]*/, "", path)
                print path
            }' "$file"
        ;;
    *) sed -nE "${number}s#^[^]]*\[[^]]*signed-by=(/[^],[:space:]]+).*#\1#p" "$file" ;;
    esac
}

find_mirror() { # SUITE; prints the URL of the host's mirror and, when it is not signed by the distribution, its keyring
    local suite=$1 url release entry keyring score best=9 found=
    while IFS='|' read -r url release entry; do
        if [[ $url =~ ^mirror\+file:/*(/.*[^/])/*$ ]]; then # a file that lists mirrors
            url=$(grep -m 1 -oE '^https?:[^[:space:]]+' "${BASH_REMATCH[1]}" || true)
        fi
        [[ $url == http://* || $url == https://* ]] || continue
        # The archive of another release of the host most likely holds the suite; its updates and security do not.
        if [[ $release == "$suite" ]]; then score=0; elif [[ $release != *[-/]* ]]; then score=3; else continue; fi
        # Vendors name suites of their own after the releases, but have keys of their own too.
        keyring=$(signed_by "$entry")
        case $keyring in
        */debian-archive-* | */ubuntu-archive-*) keyring= ;;
        '') score=$((score + 1)) ;;
        *)
            if [[ $release != "$suite" ]]; then continue; fi
            score=2
            ;;
        esac
        if ((score < best)); then best=$score found="${url%/} $keyring"; fi
    done < <(
        # shellcheck disable=SC2016 # the names are apt's, not the shell's
        apt-get indextargets --no-release-info --format '$(REPO_URI)|$(RELEASE)|$(SOURCESENTRY)' \
            'Target-Of: deb' 'Created-By: Packages' 'Component: main' | uniq
    )
    printf '%s\n' "$found"
}

find_debootstrap() { # FOLDER; prints where below / or below FOLDER, which it then fills, debootstrap is installed
    local folder=$1
    if [[ -x /usr/sbin/debootstrap ]]; then return; fi
    # It is a shell script: unpacked is installed.
    (cd "$folder" && apt-get -qq -o APT::Sandbox::User= download debootstrap && dpkg-deb -x debootstrap_*.deb .) >&2 ||
        fail 'debootstrap is neither installed nor to be had from the mirror of apt' \
            'sudo apt-get update && sudo apt-get install debootstrap'
    printf '%s\n' "$folder"
}

check_suite() { # PREFIX SUITE; fails where the debootstrap below PREFIX has no script for the release
    local prefix=$1 suite=$2 scripts=$1/usr/share/debootstrap/scripts version host
    [[ $suite == */* || ! -e $scripts/$suite ]] || return 0
    version=$(sed -n "s/^VERSION='\(.*\)'/ \1/p" "$prefix/usr/sbin/debootstrap")
    host=$(host_suite)
    [[ -e $scripts/$host ]] || host=''
    fail "debootstrap$version does not know the release $suite" \
        "give a SUITE that it knows${host:+, like $host}, or install the debootstrap that $suite or a later release has"
}

populate() { # PREFIX SUITE MIRROR KEYRING; runs in the helper container. A line on stdout says that an archive follows.
    set -euo pipefail
    local prefix=$1 suite=$2 mirror=$3 keyring=$4 root=/image id default security
    export DEBOOTSTRAP_DIR=$prefix/usr/share/debootstrap
    mkdir -p "$root"
    "$prefix/usr/sbin/debootstrap" --variant=minbase --force-check-gpg ${keyring:+"--keyring=$keyring"} \
        "$suite" "$root" "$mirror" > /log 2>&1 || {
        tail -n 16 "$root/debootstrap/debootstrap.log" || true # not there yet when the suite is unknown
        tail -n 4 /log
        return 1
    } >&2 2> /dev/null
    cd "$root"
    # shellcheck source=/dev/null
    id=$(. etc/os-release && printf '%s' "$ID")

    # The image names the mirror that debootstrap defaults to, as the distribution's own images do, not the host's.
    default=$(
        exec 4>&2 # where debootstrap's functions print
        set +eu
        eval "$(grep '^DEF_MIRROR=' "$prefix/usr/sbin/debootstrap")"
        # shellcheck disable=SC2034 # read by debootstrap's files
        SUITE=$suite ARCH=$(dpkg --print-architecture) VARIANT=minbase
        # shellcheck source=/dev/null
        . "$DEBOOTSTRAP_DIR/functions" > /dev/null
        # shellcheck source=/dev/null
        . "$DEBOOTSTRAP_DIR/scripts/$suite" > /dev/null
        printf '%s' "$DEF_MIRROR"
    )
    rm -f etc/apt/sources.list
    source_entry() { # URL SUITES COMPONENTS
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\n' "$@"
        printf 'Signed-By: /usr/share/keyrings/%s-archive-keyring.gpg\n\n' "$id"
    }
    case $id-$suite in
    ubuntu-*) source_entry "$default" "$suite $suite-updates $suite-security" 'main universe' ;;
    *-sid | *-unstable) source_entry "$default" "$suite" main ;;
    *)
        source_entry "$default" "$suite $suite-updates" main
        security=${default%/*}/debian-security
        source_entry "$security" "$suite-security" main
        ;;
    esac > "etc/apt/sources.list.d/$id.sources"

    # What the distributions' own slim images set. They also delete each downloaded package, which a build that mounts
    # apt's cache does not want.
    cat > etc/apt/apt.conf.d/container <<'END'
Acquire::Languages "none";
Acquire::GzipIndexes "true";
APT::AutoRemove::SuggestsImportant "false";
END
    cat > etc/dpkg/dpkg.cfg.d/container <<'END'
force-unsafe-io
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/info/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/locale/*
path-include /usr/share/locale/locale.alias
path-exclude /usr/share/man/*
END
    printf '#!/bin/sh\nexit 101\n' > usr/sbin/policy-rc.d # no package starts a service
    chmod 755 usr/sbin/policy-rc.d
    # Folders of manual pages stay: some packages fail to install without them.
    find usr/share/doc usr/share/info usr/share/lintian usr/share/locale usr/share/man ! -type d \
        ! -path 'usr/share/doc/*/copyright' ! -name locale.alias -delete
    find usr/share/doc usr/share/lintian usr/share/locale -mindepth 1 -type d -empty -delete

    # What belongs to the host, to this run, or can be made again.
    rm -rf etc/machine-id etc/resolv.conf etc/hostname etc/apt/apt.conf etc/{passwd,group,shadow,gshadow}- \
        var/lib/apt/lists/* var/cache/apt/*.bin var/cache/apt/archives/*.deb var/cache/ldconfig/* \
        var/cache/debconf/*-old var/lib/dpkg/*-old dev/* run/* tmp/*
    find var/log -type f -delete
    printf 'ready\n'
    tar --numeric-owner --sort=name -c .
}

clean_up() {
    trap '' INT TERM HUP
    set +e
    if [[ $making ]]; then # first, or the import would take the archive's early end for its end
        kill -- "-$making" 2> /dev/null
        wait "$making" 2> /dev/null
    fi
    if [[ $helper_image ]]; then
        docker rm --force "$helper"
        for _ in {1..20}; do # the engine may be removing the container still
            docker image rm --force "$helper_image" && break
            sleep 0.2
        done
    fi > /dev/null 2>&1
    rm -rf "$work"
}

make_image() { # NAME SUITE MIRROR KEYRING NETWORK
    local name=$1 suite=$2 mirror=$3 keyring=$4 network=$5 prefix folder
    local links=() options=() capability variable proxy
    prefix=$(find_debootstrap "$work")
    check_suite "$prefix" "$suite"
    if [[ $keyring ]]; then cp "$keyring" "$work/keyring" && keyring=$work/keyring; fi

    # Those of the root are links into /usr or folders beside it. The certificates are those of the host, which may be
    # behind a proxy that inspects TLS.
    for folder in /bin /sbin /lib* /usr /etc/alternatives /etc/ssl/certs "$work"; do
        if [[ -L $folder ]]; then
            links+=("${folder#/}")
        elif [[ -d $folder ]]; then
            options+=("--mount=type=bind,source=$folder,target=$folder,readonly")
        fi
    done
    for capability in CHOWN DAC_OVERRIDE FOWNER FSETID MKNOD SETFCAP SETGID SETUID SYS_CHROOT; do
        options+=("--cap-add=$capability")
    done
    for variable in http https; do # apt may have a proxy of its own
        proxy=$(apt-config dump --no-empty --format '%v%n' "Acquire::$variable::Proxy" 2> /dev/null | head -n 1 || true)
        variable=${variable}_proxy
        proxy=${!variable:-$proxy}
        if [[ $proxy && $proxy != DIRECT ]]; then options+=("--env=$variable=$proxy"); fi
    done
    if [[ ${no_proxy:-} ]]; then options+=(--env=no_proxy); fi
    if [[ $network ]]; then options+=("--network=$network"); fi

    # In a session of their own, for Ctrl-C not to end the clients between the engine's deed and our knowing of it.
    helper_image=$(tar -C / --no-recursion -c tmp "${links[@]}" | setsid --wait docker import -)
    # The archive goes to stdout, which no log needs to hold.
    setsid --wait docker create --rm --name "$helper" --log-driver=none --cap-drop=ALL "${options[@]}" \
        --env=PATH=/usr/sbin:/usr/bin:/sbin:/bin "$helper_image" \
        bash -c "$(declare -f populate); populate \"\$@\"" populate "$prefix" "$suite" "$mirror" "$keyring" \
        > /dev/null 2> "$work/log" || {
        cat "$work/log" >&2
        fail 'the Docker Engine does not make a container with folders of this host' \
            'it must run on this host: docker context use default; unset DOCKER_HOST'
    }

    set -m # gives the next job a process group
    {
        docker start --attach "$helper" 2> "$work/log" | {
            read -r _ && docker import --change 'ENV LANG=C.UTF-8' --change 'CMD ["bash"]' - "$name" > "$work/id"
        }
    } &
    making=$!
    set +m
    if ! wait "$making"; then
        making=
        if [[ -s $work/id ]]; then docker image rm --force "$(< "$work/id")" > /dev/null; fi
        tail -n 20 "$work/log" | hide_password >&2
        fail "$suite could not be made from $(hide_password <<< "$mirror")" \
            'give another mirror by --mirror URL, or --network host if only this host reaches it'
    fi
    making=
}

exists() { # NAME; prints so
    docker image inspect "$1" > /dev/null 2>&1 && echo "$1 exists"
}

main() {
    local name='' suite='' mirror='' keyring='' network='' force='' size
    while (($#)); do
        case $1 in
        --mirror | --network)
            [[ ${2:-} ]] || fail "$1 needs a value" 'see misc/base_image.sh --help'
            if [[ $1 == --mirror ]]; then mirror=${2%/}; else network=$2; fi
            shift
            ;;
        --force) force=yes ;;
        --help) usage && return ;;
        -*) fail "unknown option $1" 'see misc/base_image.sh --help' ;;
        *)
            [[ ! $suite ]] || fail "unexpected $1" 'see misc/base_image.sh --help'
            if [[ $name ]]; then suite=$1; else name=$1; fi
            ;;
        esac
        shift
    done
    [[ $name ]] || fail 'NAME is missing' 'see misc/base_image.sh --help'
    is_name "$name" || fail "'$name' is not a name for an image" 'write it like debian:bookworm, in lower case'

    docker version > /dev/null 2>&1 ||
        fail 'no Docker Engine answers' 'start it, or add your account to the group docker: docker info tells which'
    if [[ ! $force ]] && exists "$name"; then return; fi
    # A lock that each account of this host can take: any file that all may read.
    exec 9< /etc/os-release
    if ! flock --nonblock 9; then
        echo 'waiting for a base image that is being made'
        flock 9
    fi
    if [[ ! $force ]] && exists "$name"; then return; fi

    suite=${suite:-$(host_suite)}
    [[ $suite ]] || fail 'this host names no release' 'give one: misc/base_image.sh NAME SUITE'
    if [[ ! $mirror ]]; then
        type -P apt-get > /dev/null ||
            fail 'this host has no apt, so no mirror of Debian or Ubuntu' \
                'install debootstrap and give SUITE and --mirror URL'
        read -r mirror keyring <<< "$(find_mirror "$suite")"
        [[ $mirror ]] || fail "the sources of apt name no mirror of $suite" 'give one: --mirror URL'
    fi

    SECONDS=0
    work=$(mktemp -d)
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    echo "making $name: $suite from $(hide_password <<< "$mirror"), about half a minute"
    make_image "$name" "$suite" "$mirror" "$keyring" "$network"
    size=$(docker image inspect --format '{{.Size}}' "$name")
    echo "made $name: $((size / 1000000)) MB in $SECONDS s"
}

helper=cresset-base-image-$$ helper_image='' making='' work=''
if [[ ${BASH_SOURCE[0]-} == "$0" ]]; then main "$@"; fi
