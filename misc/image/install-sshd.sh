#!/bin/sh
# install-sshd.sh: install what serve-ssh runs. No key comes with it: everyone who has the image would have that key.
set -eu

"${0%/*}/install-packages.sh" openssh-server
rm -f /etc/ssh/ssh_host_*
# Here serve-ssh keeps the container's key. The group is the one that may write the Python environment.
mkdir -p /var/lib/serve-ssh
chgrp 65500 /var/lib/serve-ssh
chmod 2770 /var/lib/serve-ssh
