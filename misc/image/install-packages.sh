#!/bin/sh
# install-packages.sh [--requirements FILE] PACKAGE...
# Install packages of the distribution. FILE lists more of them, one a line: comments, blank lines and Windows line ends
# are fine; 'name=version' pins.
set -eu
. "${0%/*}/network.sh"

if [ "$1" = --requirements ]; then
    # 'name==version', as pip writes it, is understood too. The other bytes are the mark that Windows editors begin with.
    listed=$(tr -d '\r\357\273\277' < "$2" | sed -e 's/#.*//' -e 's/==*/=/')
    shift 2
    # shellcheck disable=SC2086 # words are what is wanted, and no file name can match: noglob
    { set -f; set -- "$@" $listed; set +f; }
fi

export DEBIAN_FRONTEND=noninteractive
# The archives have a folder of their own: official images delete whatever lands in the usual one.
mkdir -p /var/cache/cresset-apt/partial
options="-o Dir::Cache::archives=/var/cache/cresset-apt -o APT::Keep-Downloaded-Packages=true -o Acquire::Retries=3"
# No index of the lists either: official images switch it off, others would keep a hundred megabytes of it.
options="$options -o APT::Sandbox::User=root -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
if [ -n "${SSL_CERT_FILE:-}" ]; then options="$options -o Acquire::https::CaInfo=$SSL_CERT_FILE"; fi

# The host's mirror serves this run only: the image keeps the sources it came with.
mirror=$(secret apt_mirror)
if [ -n "$mirror" ]; then
    distribution=$(. /etc/os-release && echo "$ID")
    case "${mirror%/}" in
        */debian | */ubuntu | */ubuntu-ports) archive=${mirror%/} && archive=${archive##*/} ;;
        *) archive=$distribution ;;
    esac
    if [ "${archive%-ports}" = "$distribution" ]; then
        sources=$(mktemp -d)
        mkdir "$sources/parts"
        : > "$sources/list"
        for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
            [ -e "$file" ] || continue
            copy=$sources/parts/${file##*/}
            sed -E "s#https?://[^ ]*/$archive/?( |\$)#${mirror%/}/\\1#" "$file" > "$copy"
        done
        if [ -e "$sources/parts/sources.list" ]; then mv "$sources/parts/sources.list" "$sources/list"; fi
        mirrored="$options -o Dir::Etc::SourceList=$sources/list -o Dir::Etc::SourceParts=$sources/parts"
        # shellcheck disable=SC2086 # options are words
        if apt-get -q $mirrored -o APT::Update::Error-Mode=any update; then
            options=$mirrored
        else
            echo "cresset: the apt mirror of DEB_NEW does not serve $distribution here; using the image's own sources" >&2
            mirror=
        fi
    else
        mirror=
    fi
fi
# shellcheck disable=SC2086 # options are words
if [ -z "$mirror" ]; then apt-get -q $options update; fi

# shellcheck disable=SC2086 # options are words
apt-get -q -y $options install --no-install-recommends -- "$@"
rm -rf /var/lib/apt/lists/* "${sources:-/nonexistent}"
