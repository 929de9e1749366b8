#!/usr/bin/env bash
# start.sh SERVICE: what an IDE runs on the host before it enters the container of SERVICE. That is the container of
# `invoke exec`, so it is made as `invoke up` makes it (settings of .env, override file), and one that is there is kept.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
service=${1:-}

setup() { bash misc/setup.sh "$@"; }

if [[ ! $service ]]; then
    echo 'start.sh: no service is given: bash .devcontainer/start.sh cpu' >&2
    exit 2
fi
setup
[[ -s .env ]] || setup invoke env
services=$(docker compose --profile '*' config --services | sort)
if [[ $'\n'$services$'\n' != *$'\n'"$service"$'\n'* ]]; then
    echo "start.sh: there is no service $service; the services are ${services//$'\n'/, }" >&2
    exit 2
fi
if [[ $(docker compose --profile '*' ps --all --quiet "$service") ]]; then
    setup invoke start --service "$service"
    exit
fi
chosen=$(docker compose --profile '*' config | sed -n 's/^  SERVICE: //p')
if [[ $chosen != "$service" ]]; then
    echo "this is the dev container of the service $service, and .env says SERVICE=$chosen" >&2
    echo "open the one of $chosen, or run: invoke env --update --set SERVICE=$service --set COMPOSE_PROFILES=$service" >&2
    exit 2
fi
setup invoke up
