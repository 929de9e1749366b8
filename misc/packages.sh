# What setup.sh and install_compose.sh share: versions, downloads, and where a distribution has its packages.
# shellcheck shell=bash disable=SC2016  # apt's $(NAME) in single quotes is for apt

# The real path, whichever link led here: .venv remembers it.
ROOT=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
OS_RELEASE=/etc/os-release
DOCKER_REPOSITORY=https://download.docker.com/linux

# cron and containers may leave HOME out; without it, bash reads ~ from the database of accounts.
[[ ${HOME-} ]] || { unset HOME; export HOME=~; }


# -- words -------------------------------------------------------------------------------------------------------------

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

fail() { printf '%s\n' "$@" >&2; exit 2; }

show() { printf '%s\n' "$1" | sed 's/^/    /' >&2; }

has() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; }


# -- versions ----------------------------------------------------------------------------------------------------------

minimum() { awk -v name="$1" '$1 == name { print $2 }' "$ROOT/cresset/data/minimum-versions"; }

at_least() { [[ $(printf '%s\n' "$2" "${1#v}" | sort -V | head -n 1) == "$2" ]]; }

buildx_version() { docker buildx version | awk '{ print $2 }'; }

plugins_answer() {
    at_least "$(docker compose version --short 2>/dev/null)" "$(minimum compose)" &&
        at_least "$(buildx_version 2>/dev/null)" "$(minimum buildx)"
}


# -- downloads ---------------------------------------------------------------------------------------------------------

# fetch URL FILE [SECONDS]: verified TLS, with whatever this machine has; slow or silent hosts are given up
fetch() {
    if has curl; then
        curl -fsSL --connect-timeout 5 --speed-limit 1000 --speed-time "${3:-30}" -o "$2" "$1"
    elif has wget; then
        wget -q --tries=1 --timeout="${3:-30}" -O "$2" "$1"
    else
        python3 -c 'import shutil, sys, urllib.request as web
with web.urlopen(sys.argv[1], timeout=int(sys.argv[3])) as page, open(sys.argv[2], "wb") as file:
    shutil.copyfileobj(page, file)' "$1" "$2" "${3:-30}"
    fi 2>/dev/null
}


# -- the host's distribution -------------------------------------------------------------------------------------------

# Prints the name and the code name that packages go by: an Ubuntu derivative's are Ubuntu's.
release() (
    # shellcheck source=/dev/null
    . "$OS_RELEASE"
    printf '%s\n' "${UBUNTU_CODENAME:+ubuntu}" "${ID-}" | sed '/^$/d' | head -n 1
    printf '%s\n' "${UBUNTU_CODENAME:-${VERSION_CODENAME-}}"
)

# mirror_of SUITE...: `URIs` and `Signed-By` of the host's own main archive; fails where apt has no such suite.
# Vendors have suites of these names too, so an address that ends like a mirror's goes first.
mirror_of() {
    local found site entry key
    found=$(apt-get indextargets --no-release-info --format '$(RELEASE) $(SITE) $(SOURCESENTRY)' \
        'Created-By: Packages' 'Component: main' 2>/dev/null |
        awk -v suites=" $* " 'index(suites, " " $1 " ") { print ($2 ~ "/(debian|ubuntu)[^/]*/?$" ? 0 : 1), $2, $3 }' |
        sort -s -n -k 1,1 | head -n 1)
    [[ -n $found ]] || return 1
    read -r _ site entry <<<"$found"
    printf 'URIs: %s\n' "$site"
    key=$(sed -nE 's/^Signed-By:[[:space:]]*(\S+).*/\1/Ip; s/^deb .*signed-by=([^] ]+).*/\1/p' "${entry%:*}")
    key=${key%%$'\n'*}
    [[ -z $key ]] || printf 'Signed-By: %s\n' "$key"
}

# Debian 12 has neither Compose V2 nor Buildx: Debian 13 becomes a source that apt uses only where it is told to.
trixie_source() {
    printf '%s\n' 'Types: deb' 'Suites: trixie' 'Components: main'
    mirror_of bookworm oldstable stable
}


# -- what an administrator runs to install an engine -------------------------------------------------------------------

install_text() {
    local id codename packages
    has apt-get || return 1
    { read -r id && read -r codename; } < <(release) || return 1
    case $id in
        debian) packages='docker.io docker-cli docker-compose docker-buildx' ;;
        ubuntu) packages='docker.io docker-compose-v2 docker-buildx' ;;
        *) return 1 ;;
    esac
    printf 'export DEBIAN_FRONTEND=noninteractive\n'
    if fetch "$DOCKER_REPOSITORY/$id/dists/$codename/Release" /dev/null 5; then
        repository_text "$id" "$codename"
        packages='docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin'
    elif [[ $codename == bookworm ]]; then
        trixie_text
        # These four alone come from trixie: `-t trixie` would take libc and base-files along.
        packages=${packages// //trixie }/trixie
    fi
    # A kernel with AppArmor needs the parser, or no container starts.
    [[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) != Y ]] || packages+=' apparmor'
    printf 'apt-get update\n'
    printf 'apt-get install --yes --no-upgrade --no-install-recommends %s iptables ca-certificates\n' "$packages"
}

# Docker's own repository; the key is used only when it is Docker's and nothing else is in the file.
repository_text() {
    cat <<TEXT
apt-get update
apt-get install --yes --no-upgrade --no-install-recommends ca-certificates curl gnupg
key=\$(mktemp)
curl -fsSL $DOCKER_REPOSITORY/$1/gpg -o "\$key"
gpg --show-keys --with-colons "\$key" | awk -F: '\$1 == "pub" { n++ } \$1 == "fpr" && !id { id = \$10 } END {
    exit !(n == 1 && id == "9DC858229FC7DD38854AE2D88D81803C0EBFCD88") }'
install -D -m 644 "\$key" /etc/apt/keyrings/docker.asc
cat >/etc/apt/sources.list.d/docker.sources <<'END'
Types: deb
URIs: $DOCKER_REPOSITORY/$1
Suites: $2
Components: stable
Signed-By: /etc/apt/keyrings/docker.asc
END
TEXT
}

trixie_text() {
    ! mirror_of trixie >/dev/null || return 0
    cat <<TEXT
cat >/etc/apt/preferences.d/cresset-trixie <<'END'
Package: *
Pin: release n=trixie
Pin-Priority: 100
END
cat >/etc/apt/sources.list.d/cresset-trixie.sources <<'END'
$(trixie_source)
END
TEXT
}
