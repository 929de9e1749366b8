#!/bin/sh
# install-packages.sh [--requirements FILE] PACKAGE...
# Install packages of the distribution, by apt or whatever the RHEL family has. PACKAGE is a name of Debian's. FILE lists
# more of them by the base's own names, one a line: comments, blank lines and Windows line ends are fine.
set -eu
. "${0%/*}/network.sh"

# The names in the RHEL family. Behind a question mark is what not every repository has, and what can be done without.
rpm_names() { # PACKAGE...
    # The first Python of RHEL 8 that uv can be installed with.
    case "$(. /etc/os-release && echo "${VERSION_ID:-}")" in 8 | 8.*) python=python3.11 ;; *) python=python3 ;; esac
    for package; do
        case "$package" in
            build-essential) echo gcc gcc-c++ make ;;
            ccache | lld | tmux) echo "?$package" ;;
            # Small images have another package of it, which would be in the way.
            curl) command -v curl > /dev/null || echo curl ;;
            libjpeg-dev) echo libjpeg-turbo-devel ;;
            libopenblas-dev) echo '?openblas-devel' ;;
            libpng-dev) echo libpng-devel ;;
            libwebp-dev) echo libwebp-devel ;;
            passwd) echo shadow-utils ;;
            pkg-config) echo pkgconfig ;;
            # With what Debian has everywhere, and small images have not.
            python3) echo "$python" findutils ;;
            python3-dev) echo "$python-devel" ;;
            python3-venv) ;; # in Python itself
            *) echo "$package" ;;
        esac
    done
}

listed=
if [ "$1" = --requirements ]; then
    # The last three bytes are the mark that Windows editors begin with.
    listed=$(tr -d '\r\357\273\277' < "$2" | sed -e 's/#.*//')
    shift 2
fi
set -f # words are what is wanted from here on, and never a pattern of files

if ! command -v apt-get > /dev/null; then
    for manager in dnf microdnf yum none; do if command -v "$manager" > /dev/null; then break; fi; done
    if [ "$manager" = none ]; then
        echo "cresset: the base image has no package manager that is known here: apt-get, dnf, microdnf or yum" >&2
        exit 1
    fi
    # In a folder of the cache mount, one a release: what was downloaded stays out of the image.
    cache=/var/cache/cresset-apt/$(. /etc/os-release && echo "$ID-${VERSION_ID:-}")
    options="-y --setopt=cachedir=$cache --setopt=keepcache=True --setopt=install_weak_deps=False"
    if [ -n "${SSL_CERT_FILE:-}" ]; then options="$options --setopt=sslcacert=$SSL_CERT_FILE"; fi
    # Otherwise a name that it does not know is no failure to it.
    if [ "$manager" = yum ]; then options="$options --setopt=skip_missing_names_on_install=False"; fi
    # Where the libraries to compile with are, there but not in use.
    for repository in crb powertools; do
        if grep -rqsx "\[$repository\]" /etc/yum.repos.d; then options="$options --enablerepo=$repository"; fi
    done
    needed=
    spare=
    for name in $(rpm_names "$@") $listed; do
        case "$name" in '?'*) spare="$spare ${name#?}" ;; *) needed="$needed $name" ;; esac
    done
    # shellcheck disable=SC2086 # options and names are words
    if [ -n "$needed" ]; then "$manager" $options install $needed; fi
    for name in $spare; do
        # shellcheck disable=SC2086 # options are words
        "$manager" $options install "$name" || echo "cresset: no repository of the base image has $name: without it" >&2
    done
    # Where the other distributions have these two, and docker-compose.yaml and Dockerfile with them.
    if [ ! -e /etc/ssl/certs/ca-certificates.crt ] && [ -e /etc/pki/tls/certs/ca-bundle.crt ]; then
        mkdir -p /etc/ssl/certs
        ln -s /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/certs/ca-certificates.crt
    fi
    if [ -f /etc/zshrc ]; then ln -sf zsh/zshrc /etc/zshrc; fi
    exit
fi

# 'name==version', as pip writes it, is understood too.
# shellcheck disable=SC2046 # names are words
set -- "$@" $(printf '%s\n' "$listed" | sed -e 's/==*/=/')
set +f
if [ $# = 0 ]; then exit; fi

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
