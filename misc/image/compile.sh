# Sourced by each step that compiles: the compiler cache, the number of jobs, and wheels that come out the same again.
# shellcheck shell=sh

# Fixed times: a recompile that changes nothing changes nothing downstream. 1980 is where the dates of a wheel begin.
export SOURCE_DATE_EPOCH=315532800 PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
umask 0022

# Linking PyTorch takes minutes with the usual linker.
if command -v ld.lld > /dev/null; then export LDFLAGS="-fuse-ld=lld"; fi

export CCACHE_DIR=/root/.cache/ccache CCACHE_MAXSIZE=50G CCACHE_COMPILERCHECK=content
export CCACHE_STATSLOG=/tmp/ccache.statistics
# A store that takes connections and never answers would cost each compiler ten seconds.
answers() { # URL
    timeout 15 python3 - "$1" << 'END'
import socket, sys
from urllib.parse import urlsplit

place = urlsplit(sys.argv[1].split("|")[0])
port = {"http": 80, "https": 443, "redis": 6379}.get(place.scheme)
if port and place.hostname:
    try:
        with socket.create_connection((place.hostname, place.port or port), timeout=5) as door:
            if place.scheme != "https":
                door.sendall(b"PING\r\n" if place.scheme == "redis" else b"HEAD / HTTP/1.0\r\n\r\n")
                door.recv(1)
    except OSError as error:
        sys.exit(f"cresset: the compiler cache of CCACHE_REMOTE_STORAGE does not answer ({error}): without it")
END
}

if [ -s /run/secrets/ccache_remote ] && answers "$(cat /run/secrets/ccache_remote)"; then
    # What was compiled before there was a remote store goes there too.
    export CCACHE_RESHARE=1
    CCACHE_REMOTE_STORAGE=$(cat /run/secrets/ccache_remote) && export CCACHE_REMOTE_STORAGE
    # ccache's name of it before 4.8
    export CCACHE_SECONDARY_STORAGE="$CCACHE_REMOTE_STORAGE"
fi

# The builder's memory in MiB: what is free, or what its control group allows.
memory() {
    free=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
    for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
        limit=$(cat "$file" 2> /dev/null || true)
        case "$limit" in '' | max) ;; *) if [ "${#limit}" -lt 16 ] && [ $((limit / 1048576)) -lt "$free" ]; then free=$((limit / 1048576)); fi ;; esac
    done
    echo "$free"
}

# jobs MIB: how many compilers at once, when each takes that much memory; at most one a core.
jobs() {
    if [ -s /run/secrets/max_jobs ]; then
        cat /run/secrets/max_jobs
        return
    fi
    cores=$(nproc)
    fitting=$(($(memory) / $1))
    if [ "$fitting" -lt 1 ]; then echo 1; elif [ "$fitting" -lt "$cores" ]; then echo "$fitting"; else echo "$cores"; fi
}

# PyTorch's attention kernels take five gigabytes a compiler (pytorch issue 124018), plain C++ about two.
if [ "${USE_CUDA:-0}" = 1 ]; then per_job=6144; else per_job=2048; fi
MAX_JOBS=$(jobs "$per_job") && export MAX_JOBS
export CMAKE_BUILD_PARALLEL_LEVEL="$MAX_JOBS"

# quietly COMMAND...: its output goes to a file, because a step's log is cut at two megabytes; shown are what was
# configured, ninja's counter now and then, and on failure what went wrong.
quietly() {
    log=/tmp/compile.log
    # mawk, the awk of Debian and Ubuntu, would hold its input back until there is much of it.
    case "$(awk -W version 2>&1)" in mawk*) at_once="-W interactive" ;; *) at_once= ;; esac
    # shellcheck disable=SC2086 # options are words
    { "$@" 2>&1 && echo 0 > /tmp/compile.code || echo $? > /tmp/compile.code; } | tee "$log" | awk $at_once '
        match($0, /^\[[0-9]+\/[0-9]+\]/) {
            split(substr($0, 2, RLENGTH - 2), count, "/")
            if (count[2] >= 20) compiling = 1
            share = int(200 * count[1] / count[2])
            if (share != last) { print substr($0, 1, 300); fflush() }
            last = share
            next
        }
        !compiling && lines < 2000 { lines++; print substr($0, 1, 300); fflush() }'
    code=$(cat /tmp/compile.code)
    if [ "$code" != 0 ]; then
        echo "cresset: compiling failed with $MAX_JOBS jobs; what the compiler said:" >&2
        { grep -n -A 12 -E '^FAILED:|: (fatal )?error:|^CMake Error|Killed' "$log" || tail -n 20 "$log"; } \
            | tail -n 60 | cut -c1-300 >&2
        if grep -qE 'Killed|signal terminated|std::bad_alloc|out of memory' "$log"; then
            if [ "$MAX_JOBS" -gt 1 ]; then advice="set MAX_JOBS=$((MAX_JOBS / 2))"; else advice="the builder needs more"; fi
            echo "cresset: the compiler was killed for memory: $MAX_JOBS jobs with $(memory) MiB free; $advice" >&2
        fi
        return "$code"
    fi
}

# report NAME: what the compiler cache gave to this step.
report() {
    [ -s "$CCACHE_STATSLOG" ] || { echo "$1: nothing was compiled"; return 0; }
    awk -v name="$1" '
        /^(direct|preprocessed)_cache_hit$/ { hits++ }
        /^(remote|secondary)_storage_hit$/ { remote++ }
        /^cache_miss$/ { misses++ }
        END {
            all = hits + misses
            if (!all) { print name ": nothing that can be cached was compiled"; exit }
            printf "%s: compiler cache: %d of %d compilations found (hit %d %%)%s\n", name, hits, all, 100 * hits / all,
                remote ? ", " remote " of them in the remote store" : ""
            if (!hits) print "cresset: " name ": hit 0 %: as in a first build, or after a change of compiler or flags"
        }' "$CCACHE_STATSLOG"
    rm -f "$CCACHE_STATSLOG"
}
