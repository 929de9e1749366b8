#!/bin/sh
# pick-extensions.sh FILE OUT: FILE's requirements without comments and blank lines, so that those rebuild nothing, and
# each in one line; OUT/any is empty where there is none.
set -eu

mkdir -p "$2"
tr -d '\r' < "$1" | sed -E -e '1s/^\xef\xbb\xbf//' -e 's/(^|[[:space:]])#.*//' \
    | sed -E -e ':more' -e '/\\$/ { N; s/\\\n/ /; b more' -e '}' \
    | sed -E -e 's/[[:space:]]+/ /g' -e 's/^ //' -e 's/ $//' -e '/^$/d' > "$2/requirements.txt"
if [ -s "$2/requirements.txt" ]; then echo yes; fi > "$2/any"
