#!/bin/sh
# clone.sh NAME URL TAG COMMIT OUT: put the source of NAME into OUT, submodules included; nothing where TAG is empty.
# The person's own folder of sources comes first: a tree NAME in it is copied as it is, and a folder `mirror` in it,
# laid out like the hosts' paths, is asked instead of GitHub. The same commit gives the same files, bit for bit, so a
# clone that is made again rebuilds nothing.
set -eu
. "${0%/*}/network.sh"

name=$1 url=$2 tag=$3 commit=$4 out=$5
sources=/run/cresset/sources
mkdir -p "$out"
if [ -z "$tag" ]; then exit; fi

HOME=$(mktemp -d) && export HOME GIT_TERMINAL_PROMPT=0
git config --global --add safe.directory '*'
git config --global advice.detachedHead false
# A transfer that stands still for a minute is given up, and tried again.
git config --global http.lowSpeedLimit 1000
git config --global http.lowSpeedTime 60
if [ -d "$sources/mirror" ]; then
    git config --global url."$sources/mirror/".insteadOf https://github.com/
    git config --global protocol.file.allow always
fi

# Networks fail; what has arrived stays, so that each attempt has less to do. An answer is an answer, to which something
# else may be asked; of a host that stays away nothing is. While this one pauses, others may clone.
refusals="couldn't find remote ref|not our ref|unadvertised object|did not contain|shallow|[Rr]epository .*not found|does not exist|does not appear to be a git repository"
attempt() {
    pause=2
    until "$@" 2> /tmp/reason; do
        cat /tmp/reason >&2
        if grep -qE "$refusals" /tmp/reason; then return 1; fi
        if [ "$pause" -gt 32 ]; then
            echo "cresset: $name: there is no way to $url, or to a submodule of it" >&2
            exit 1
        fi
        echo "cresset: trying again in $pause s: $*" >&2
        if [ "$alone" ]; then sleep "$pause"; else flock --unlock 9 && sleep "$pause" && flock 9; fi
        pause=$((pause * 2))
    done
}

# What is left of git's own data is what says which commit this is: packs and indexes differ from clone to clone.
forget_history() { # COMMIT
    find "$out" -name .git -prune -exec rm -rf {} +
    if [ -n "$1" ]; then
        mkdir -p "$out/.git/objects" "$out/.git/refs"
        echo "$1" > "$out/.git/HEAD"
    fi
}

if [ -d "$sources/$name" ]; then
    known=
    for file in setup.py pyproject.toml CMakeLists.txt Makefile; do
        if [ -e "$sources/$name/$file" ]; then known=1; fi
    done
    if [ -z "$known" ]; then
        echo "cresset: the folder $name of the folder of sources (SOURCES) has no source in it" >&2
        exit 1
    fi
    echo "$name: the tree of the folder of sources, whatever its tag ($tag) says"
    cp -a "$sources/$name/." "$out"
    here=$(git -C "$out" rev-parse --verify --quiet HEAD || true)
    if [ -n "$commit" ] && [ -n "$here" ] && [ "$here" != "$commit" ]; then
        echo "cresset: $name is at commit $here in the folder of sources, not at $commit" >&2
        exit 1
    fi
    forget_history "$here"
    exit
fi

# The clone's data is kept between builds: another tag costs what is new in it, an interrupted transfer what is missing.
store=/var/cache/cresset-git/$name.git
mkdir -p "${store%/*}"
exec 9> "$store.turn"
if ! flock --nonblock 9; then
    echo "cresset: $name: waiting for another build, which clones it too"
    flock 9
fi
if [ -d "$store" ]; then find "$store" -name '*.lock' -delete; fi
git init --quiet --separate-git-dir "$store" "$out"
cd "$out"
git config remote.origin.url "$url"

# A commit is asked for by its number; some servers give only what a tag or a branch points to, and some no shallow
# clone. A release may be written without its v.
fetch() {
    attempt git fetch --quiet --depth 1 origin "$1" || attempt git fetch --quiet origin "$1"
}
alone=
here=
for reference in ${commit:+"$commit"} "$tag" "v$tag"; do
    if fetch "$reference"; then here=$(git rev-parse --verify 'FETCH_HEAD^{commit}') && break; fi
done
if [ -z "$here" ] && attempt git fetch --quiet --tags origin '+refs/heads/*:refs/remotes/origin/*'; then
    here=$(git rev-parse --verify --quiet "${commit:-$tag}^{commit}" || true)
fi
if [ -z "$here" ]; then
    echo "cresset: $name: $url does not give ${commit:-$tag}: no such tag, branch or commit" >&2
    exit 1
fi
if [ -n "$commit" ] && [ "$here" != "$commit" ]; then
    echo "cresset: $name: $tag at $url is commit $here, not $commit" >&2
    exit 1
fi
# From here on the clone's data is this commit's.
alone=1
git reset --quiet --hard "$here"

if [ -e .gitmodules ]; then
    git submodule --quiet sync --recursive
    attempt git submodule --quiet update --init --recursive --force --depth 1 --jobs 8 \
        || attempt git submodule --quiet update --init --recursive --force \
        || { echo "cresset: $name: its submodules could not be fetched" >&2; exit 1; }
    if git submodule status --recursive | grep '^[-+U]'; then
        echo "cresset: $name: the submodules above are not at their commits" >&2
        exit 1
    fi
fi
forget_history "$here"
echo "$name: $tag is commit $here"
