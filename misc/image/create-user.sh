#!/bin/sh
# create-user.sh: make the account USR (UID) of group GRP (GID), in the group that may write the Python environment.
set -eu

venv_group=65500
# Not $UID: where sh is bash, that is the number of who runs this.
uid=$(printenv UID)
shell=$(command -v zsh || command -v bash || echo /bin/sh)

name_of() { # DATABASE NUMBER
    getent "$1" "$2" | cut -d: -f1
}

if [ -z "$(name_of group "$venv_group")" ]; then groupadd --gid "$venv_group" cresset; fi

if [ "$uid" = 0 ]; then
    usermod --shell "$shell" --append --groups "$venv_group" root
    exit
fi

if [ -z "$(name_of group "$GID")" ]; then
    # The name may belong to a group of the image already; then the number alone has to do.
    if getent group "$GRP" > /dev/null; then GRP="$GRP-$GID"; fi
    groupadd --gid "$GID" "$GRP"
fi

# An image may bring an account of that number along (Ubuntu 24.04: ubuntu, 1000) or of that name.
former=$(name_of passwd "$uid")
if [ -n "$former" ]; then userdel "$former"; fi
if [ "$USR" = root ]; then USR=user; fi # of another number than 0, it would be taken for the administrator
if getent passwd "$USR" > /dev/null; then userdel "$USR"; fi
if [ -z "$(name_of group "$GID")" ]; then groupadd --gid "$GID" "$GRP"; fi # went with its last account

# --no-log-init: a login record of a number in the billions is a sparse file of hundreds of gigabytes.
# The home is made here, because its parent's mode and the skeleton differ between distributions.
useradd --no-log-init --no-create-home --home-dir "/home/$USR" --shell "$shell" \
    --uid "$uid" --gid "$GID" --groups "$venv_group" "$USR"
mkdir -p "/home/$USR"
# Without a file of one's own, zsh begins with an interview.
echo '# Read after /etc/zsh/zshrc.' > "/home/$USR/.zshrc"
chown -R "$uid:$GID" "/home/$USR"
chmod 755 "/home/$USR"
