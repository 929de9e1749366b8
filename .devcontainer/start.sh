#!/usr/bin/env bash
# start.sh SERVICE: what an IDE runs on the host before it enters the container of SERVICE. That is the container of
# `invoke exec`, so it is made as `invoke up` makes it (settings of .env, override file), and one that is there is kept.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."

setup() { bash misc/setup.sh "$@"; }

setup
[[ -s .env ]] || setup invoke env
if [[ $(docker compose --profile '*' ps --all --quiet "$1") ]]; then
    setup invoke start --service "$1"
    exit
fi
chosen=$(docker compose --profile '*' config | sed -n 's/^  SERVICE: //p')
if [[ $chosen != "$1" ]]; then
    echo "this is the dev container of the service $1, and .env says SERVICE=$chosen" >&2
    echo "open the one of $chosen, or run: invoke env --update --set SERVICE=$1 --set COMPOSE_PROFILES=$1" >&2
    exit 2
fi
setup invoke up
