#!/bin/sh
# pick-wheels.sh WHEELHOUSE OUT: copy to OUT the wheels that the settings ask for, and nothing else, so that another
# file dropped into the wheelhouse changes no later step.
set -eu
. "${0%/*}/wanted-wheels.sh"

variant=$(variant)
mkdir -p "$2"
wanted_wheels | while read -r name version; do
    for wheel in "$1/$name-$version"[-+]*.whl; do
        [ -e "$wheel" ] || continue
        label=${wheel##*/"$name-$version"}
        case "$label" in
            # A wheel for another accelerator is another package in all but name; one without a label may be any.
            "+$variant"-* | -*) install -m 644 "$wheel" "$2" ;;
        esac
    done
done
