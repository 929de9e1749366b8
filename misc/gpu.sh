# shellcheck shell=bash
# What NVIDIA GPUs need beside an engine: a driver, which a person installs, and the Container Toolkit; for setup.sh.

PCI_DEVICES=/sys/bus/pci/devices
DRIVER=/proc/driver/nvidia/version
WSL_DRIVER=/usr/lib/wsl/lib/nvidia-smi
DRIVER_SITE=https://www.nvidia.com/drivers
TOOLKIT_REPOSITORY=https://nvidia.github.io/libnvidia-container
TOOLKIT_MANUAL=https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html
# By major version of CUDA: https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
OLDEST_DRIVERS=([11]=450 [12]=525 [13]=580)

ensure_gpu() {
    local driver
    if on_wsl; then
        # Whether Windows has such a GPU cannot be seen from here, so this is said at the first setup only.
        [[ -e $WSL_DRIVER ]] || is_environment_ready || is_elsewhere ||
            say "no NVIDIA driver here; on WSL it is Windows's: where there is a GPU, install it there: $DRIVER_SITE"
    elif driver=$(driver_version); then
        is_elsewhere || { warn_about_driver "$driver"; ensure_toolkit; }
    elif has_gpu; then
        is_elsewhere || advise_driver
    fi
}


# -- GPU and driver ----------------------------------------------------------------------------------------------------

# Class 0x03 is a display controller, which a GPU without outputs is, too.
has_gpu() {
    local file vendor class
    for file in "$PCI_DEVICES"/*/vendor; do
        if read -r vendor <"$file" && [[ $vendor == 0x10de ]] &&
            read -r class <"${file%vendor}class" && [[ $class == 0x03* ]]; then return 0; fi
    done 2>/dev/null
    return 1
}

# Prints the version of the driver that runs, or an empty line where it cannot be read; fails where none runs. The file
# goes first: nvidia-smi takes seconds on a host whose GPUs are asleep, but some containers have nothing else.
driver_version() {
    local text
    if [[ -r $DRIVER ]]; then
        read -r text <"$DRIVER"
    else
        has nvidia-smi && text=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null) || return 1
    fi
    [[ $text =~ [0-9]{3,}(\.[0-9]+)+ ]] || true
    printf '%s\n' "${BASH_REMATCH[0]-}"
}

advise_driver() {
    local id='' advice="a driver from $DRIVER_SITE"
    if has nvidia-smi; then
        say 'there is an NVIDIA GPU, but its driver does not answer: after an installation, start this machine anew;' \
            'nvidia-smi may tell more'
        return
    fi
    read -r id < <(release) || true
    case $id in
        ubuntu) advice="one with 'sudo ubuntu-drivers install', or $advice" ;;
        debian) advice="package nvidia-driver of Debian's non-free, or $advice" ;;
    esac
    say "there is an NVIDIA GPU, but no driver, and setup installs none: install $advice"
}

# The major version of CUDA that a build would take: the shell's, else that of .env, else the default.
wanted_cuda() {
    local version=${CUDA_VERSION-}
    [[ $version ]] || version=$(sed -nE "s/^(ARG )?CUDA_VERSION=[\"']?([0-9]+)\..*/\2/p" "$ROOT"/{Dockerfile,.env} \
        2>/dev/null | tail -n 1) || true
    [[ ! $version =~ ^[1-9][0-9]* ]] || printf '%s' "${BASH_REMATCH[0]}"
}

warn_about_driver() {
    local cuda major older='' have=${1%%.*}
    cuda=$(wanted_cuda)
    ((${have:-999} < ${OLDEST_DRIVERS[${cuda:-0}]-0})) || return 0
    for major in "${!OLDEST_DRIVERS[@]}"; do
        ((have < OLDEST_DRIVERS[major])) || older=", or set CUDA_VERSION=$major.x in .env"
    done
    say "the NVIDIA driver is $1, CUDA $cuda needs ${OLDEST_DRIVERS[cuda]} or newer:" \
        "install a newer driver ($DRIVER_SITE)$older"
}


# -- the NVIDIA Container Toolkit --------------------------------------------------------------------------------------

# docker, through the group where this session lacks it
ask_docker() { if [[ $MEMBER ]]; then eval "$(as_member docker "$@")"; else docker "$@"; fi; }

# The engine has a runtime by that name, or CDI devices.
knows_gpus() { [[ $(ask_docker info --format '{{json .}}' 2>/dev/null) =~ '"nvidia":'|'nvidia.com/gpu' ]]; }

is_toolkit_here() { has nvidia-ctk || has nvidia-container-runtime || knows_gpus; }

ensure_toolkit() {
    local text missing='the NVIDIA Container Toolkit is missing'
    [[ $STATE == ready ]] || return 0
    ! is_toolkit_here || return 0
    if ! has apt-get; then
        say "$missing, and setup knows Debian and Ubuntu only: see $TOOLKIT_MANUAL"
    elif ! fetch "$TOOLKIT_REPOSITORY/gpgkey" /dev/null 5; then
        say "$missing, and ${TOOLKIT_REPOSITORY%/*} does not answer; containers can still be given the GPUs by hand:" \
            'invoke over'
    else
        text=$(toolkit_text)
        can_be_root || text+=$'\n'"# then, when containers may stop: $(way_to_restart)"
        ! offer "$missing, through which containers get the GPUs; this installs it" "$text" || restart_engine
    fi
}

toolkit_text() {
    printf 'export DEBIAN_FRONTEND=noninteractive\n'
    has_toolkit_source || toolkit_source_text
    printf '%s\n' 'apt-get update' \
        'apt-get install --yes --no-upgrade --no-install-recommends nvidia-container-toolkit' \
        'nvidia-ctk runtime configure --runtime=docker'
}

# apt reads no source at all any more when two name one archive and different keys.
has_toolkit_source() {
    # shellcheck disable=SC2016  # apt's own variable
    [[ $(apt-get indextargets --no-release-info --format '$(SITE)' 2>/dev/null) == *"$TOOLKIT_REPOSITORY/stable/deb"* ]]
}

# NVIDIA's own repository; the key is used only when it is NVIDIA's and nothing else is in the file.
toolkit_source_text() {
    cat <<TEXT
apt-get update
apt-get install --yes --no-upgrade --no-install-recommends ca-certificates curl gnupg
key=\$(mktemp)
curl -fsSL $TOOLKIT_REPOSITORY/gpgkey -o "\$key"
gpg --show-keys --with-colons "\$key" | awk -F: '\$1 == "pub" { n++ } \$1 == "fpr" && !id { id = \$10 } END {
    exit !(n == 1 && id == "C95B321B61E88C1809C4F759DDCAE044F796ECB0") }'
install -D -m 644 "\$key" /etc/apt/keyrings/nvidia-container-toolkit.asc
cat >/etc/apt/sources.list.d/nvidia-container-toolkit.sources <<'END'
Types: deb
URIs: $TOOLKIT_REPOSITORY/stable/deb/\$(ARCH)
Suites: /
Signed-By: /etc/apt/keyrings/nvidia-container-toolkit.asc
END
TEXT
}


# -- an engine that sees it --------------------------------------------------------------------------------------------

# A daemon that somebody started by hand has options that only they know.
way_to_restart() {
    if has_systemd; then
        printf 'systemctl restart docker\n'
    elif has_service; then
        printf 'service docker restart\n'
    else
        printf 'end dockerd and start it as it was started\n'
    fi
}

# may_restart NUMBER: an engine whose containers run is never restarted but by a person at a terminal who says so
may_restart() {
    local answer
    (($1)) || { agreed 'No container runs. Restart Docker now?'; return; }
    ((!YES)) && on_terminal || return 1
    read -r -p "Containers that run: $1. Restart Docker, which may stop them? [y/N] " answer && [[ $answer == [Yy]* ]]
}

# Docker looks for the toolkit when it starts, and only then.
restart_engine() {
    local text running
    text=$(way_to_restart)
    if { has_systemd || has_service; } && running=$(ask_docker ps --quiet | wc -l) && may_restart "$running"; then
        say "restarting Docker: $text"
        { as_root "$text" >&2 && wait_for_engine && knows_gpus; } ||
            show_last_words 'Docker is not back with the GPUs; its last words:'
    else
        say 'containers get the GPUs after a restart of Docker; when they may stop:'
        show "$text"
    fi
}
