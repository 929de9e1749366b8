# shellcheck shell=bash
# The Python environment .venv: made once, repaired when it broke, updated when the dependencies change; for setup.sh.

VENV=$ROOT/.venv
STAMP=$VENV/.cresset  # what .venv was made of; `unfinished` while it is being made
PIP_SETTINGS=(/etc/pip.conf /etc/xdg/pip/pip.conf)

# What .venv was made of: the interpreter, the place (its scripts name it in their first line), the dependencies.
describe_environment() {
    printf '%s %s\n' "$(readlink -f "$VENV/bin/python3")" "$ROOT"
    awk '/^\[/ { inside = /^\[dependency-groups\]/ } inside' "$ROOT/pyproject.toml"
}

is_environment_ready() {
    [[ -x $VENV/bin/python3 && -r $STAMP && $(<"$STAMP") == "$(describe_environment)" ]]
}

# Whether packages can be added to what is there: made whole, at this place, by an interpreter that still runs.
is_environment_sound() {
    "$VENV/bin/python3" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || return 1
    [[ ! -e $STAMP || $(head -n 1 "$STAMP") == "$(describe_environment | head -n 1)" ]]
}

# The interpreter proper, not a shim or an active environment's, which may be the one about to be replaced.
find_python() {
    local name
    for name in python3 python3.{14,13,12,11,10} /usr/bin/python3; do
        "$name" -c 'import sys; print(sys._base_executable if sys.version_info >= (3, 10) else sys.exit(1))' \
            2>/dev/null && return
    done
    fail "Python 3.10 or newer is needed; python3 is $(python3 --version 2>/dev/null || echo missing)" \
        'install a newer one, for instance with pyenv, and put it first on PATH'
}

# A pip inside a virtual environment trusts only the certificates it carries; a proxy's are in the system's bundle.
system_certificates() {
    local file settings
    settings=("${PIP_SETTINGS[@]}" ~/.pip/pip.conf "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf")
    [[ -z ${PIP_CERT-}${REQUESTS_CA_BUNDLE-}${CURL_CA_BUNDLE-} ]] || return 0
    ! grep -qsE '^[[:space:]]*cert[[:space:]]*=' "${settings[@]}" "${PIP_CONFIG_FILE:-/dev/null}" || return 0
    for file in "${SSL_CERT_FILE-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
        [[ ! -r $file ]] || { printf '%s' "$file"; return; }
    done
}

mark() { printf '%s\n' "$1" >"$STAMP"; }

# attempt COMMAND...: quiet when it works; otherwise the reason in one line, what to do in another, nothing half-made
attempt() {
    local log reason
    log=$(unset PYTHONHOME; PIP_USER=0 "$@" 2>&1) && return
    discard_unfinished
    reason=$(grep -E 'Errno|No space|Read-only|denied' <<<"$log" || grep ERROR <<<"$log" || printf '%s' "$log")
    reason=.venv:\ $(tail -n 1 <<<"$reason")
    case $log in
        *'No space'* | *quota*) fail "$reason" "free some disk space under $ROOT, then run this again" ;;
        *Read-only* | *'ermission denied'*) fail "$reason" "make $ROOT writable, or clone it to where you can write" ;;
        *) fail "$reason" "pip must reach a package index: 'pip config list' shows where it looks" ;;
    esac
}

discard_unfinished() { [[ ! -e $STAMP || $(<"$STAMP") != unfinished ]] || rm -rf "$VENV"; }

ensure_environment() {
    local python certificates
    ! is_environment_ready || return 0
    say 'setting up .venv; this can take a minute'
    if ! is_environment_sound; then
        python=$(find_python) || exit
        attempt rm -rf "$VENV"
        attempt mkdir "$VENV"
        attempt mark unfinished
        attempt "$python" -m venv --without-pip "$VENV"
    fi
    certificates=$(system_certificates)
    [[ -z $certificates ]] || local -x PIP_CERT=$certificates
    ensure_pip
    attempt "$VENV/bin/python3" -m pip install --group "$ROOT/pyproject.toml:dev"
    attempt mark "$(describe_environment)"
}

# pip >= 25.1 knows --group. Debian and Ubuntu split ensurepip off, but the wheel in it is a package like any other,
# and downloading a package needs no root.
ensure_pip() {
    local python=$VENV/bin/python3 pip
    if "$python" -c 'import pip' 2>/dev/null; then
        :
    elif "$python" -c 'import ensurepip' 2>/dev/null; then
        attempt "$python" -m ensurepip
    elif pip=$(packaged_pip) && "$python" "$pip" --version >/dev/null 2>&1; then
        attempt "$python" "$pip" install 'pip>=25.1'
    elif offer 'python3 cannot make virtual environments; this installs what is missing' \
        $'apt-get update\napt-get install --yes --no-install-recommends python3-venv'; then
        attempt "$python" -m ensurepip
    else
        discard_unfinished
        fail '.venv: python3 comes without ensurepip' 'install python3-venv, then run this again'
    fi
    attempt "$python" -m pip install 'pip>=25.1'
}

# Prints the path of a pip that runs from its wheel; it goes when .venv goes.
packaged_pip() {
    mkdir -p "$VENV/package" && cd "$VENV/package" || return 1
    { apt-get download python3-pip-whl && dpkg-deb -x ./*.deb .; } >/dev/null 2>&1 || return 1
    printf '%s/pip\n' "$PWD"/usr/share/python-wheels/pip-*.whl
}
