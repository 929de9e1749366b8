#!/bin/sh
# pick-packages.sh DIRECTORY OUT: copy to OUT/requirements.txt that one of DIRECTORY's requirement files which the base
# image's package manager reads, so that an edit of the other changes no later step.
set -eu

if command -v apt-get > /dev/null; then manager=apt; else manager=dnf; fi
mkdir -p "$2"
install -m 644 "$1/$manager.requirements.txt" "$2/requirements.txt"
