#!/bin/sh
# create-user.sh: make the account USR (UID) of group GRP (GID), in the group that may write the Python environment.
# Without UID it is root's own account that is made ready.
set -eu
path=$PATH
PATH=$PATH:/usr/sbin:/sbin # an image's PATH may lack where useradd is

venv_group=65500
# Docker gives a new volume the owner of the folder that it is mounted at. The place is one for all homes, because
# docker-compose.yaml cannot know which home it will be.
server=/var/lib/vscode-server
# Not $UID: where sh is bash, that is the number of who runs this.
uid=$(printenv UID || echo 0)
shell=$(command -v zsh || command -v bash || echo /bin/sh)

name_of() { # DATABASE NUMBER
    getent "$1" "$2" | cut -d: -f1
}

# make_server HOME OWNER: where VS Code keeps what it installs in a container
make_server() {
    mkdir -p "$server"
    chown "$2" "$server"
    if [ ! -e "$1/.vscode-server" ]; then ln -s "$server" "$1/.vscode-server"; fi
}

if [ -z "$(name_of group "$venv_group")" ]; then groupadd --gid "$venv_group" cresset; fi

# A login shell begins with a PATH of /etc/profile's own: without this image's programs, and without the base image's.
# PYTHONPATH is where the code is, which this step need not know.
cat > /etc/profile.d/cresset.sh <<END
case :\$PATH: in
    *:/opt/uv/bin:*) ;;
    *) PATH=\${VIRTUAL_ENV:+\$VIRTUAL_ENV/bin:}/opt/uv/bin:$path\${PYTHONPATH:+:\$PYTHONPATH} ;;
esac
END

if [ "$uid" = 0 ]; then
    usermod --shell "$shell" --append --groups "$venv_group" root
    make_server /root 0:0
    exit
fi

# An image may bring an account of that number along (Ubuntu 24.04: ubuntu, 1000) or of that name.
former=$(name_of passwd "$uid")
if [ -n "$former" ]; then userdel "$former"; fi
if [ "$USR" = root ]; then USR=user; fi # of another number than 0, it would be taken for the administrator
if getent passwd "$USR" > /dev/null; then userdel "$USR"; fi

# Only now, because a group may have gone with its last account.
if [ -z "$(name_of group "$GID")" ]; then
    # The name may belong to a group of the image already; then the number alone has to do.
    if getent group "$GRP" > /dev/null; then GRP="$GRP-$GID"; fi
    groupadd --gid "$GID" "$GRP"
fi

# --no-log-init: a login record of a number in the billions is a sparse file of hundreds of gigabytes.
# The home is made here, because its parent's mode and the skeleton differ between distributions.
useradd --no-log-init --no-create-home --home-dir "/home/$USR" --shell "$shell" \
    --uid "$uid" --gid "$GID" --groups "$venv_group" "$USR"
# A folder that is missing above a mount's target would be made by Docker, for root: as `.cache` for `.cache/torch`.
mkdir -p "/home/$USR/.cache" "/home/$USR/.config" "/home/$USR/.local/share" "/home/$USR/.local/state"
# Without a file of one's own, zsh begins with an interview.
echo '# Read after /etc/zsh/zshrc.' > "/home/$USR/.zshrc"
make_server "/home/$USR" "$uid:$GID"
chown -R "$uid:$GID" "/home/$USR"
chmod 755 "/home/$USR"
