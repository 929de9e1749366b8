#!/bin/sh
# pick-extensions.sh FILE OUT: FILE's requirements without comments and blank lines, so that those rebuild nothing;
# OUT/any is empty where there is none.
set -eu

mkdir -p "$2"
tr -d '\r' < "$1" | sed -E -e 's/(^|[[:space:]])#.*//' -e 's/[[:space:]]+$//' -e '/^$/d' > "$2/requirements.txt"
if [ -s "$2/requirements.txt" ]; then echo yes; fi > "$2/any"
