#!/bin/sh
# serve-ssh [COMMAND...]: let the owners of the keys in /etc/ssh/authorized_keys log in at port 2222, as the account that
# runs this and with the environment that it has: sshd by itself begins with an empty one. COMMAND runs beside it.
set -eu

keys=/etc/ssh/authorized_keys
own=/var/lib/serve-ssh

fail() {
    echo "serve-ssh: $1" >&2
    exit 2
}

[ -s "$keys" ] || fail "$keys has no public key; mount yours there: docs/switches.md"
[ -w "$own" ] || fail "$own cannot be written by $(id -un)"
umask 077
if [ ! -e "$own/host_key" ]; then ssh-keygen -q -t ed25519 -N '' -C "$(hostname)" -f "$own/host_key"; fi
if [ "$(id -u)" = 0 ]; then mkdir -p /run/sshd; fi

# The environment may hold an address with a password: nobody else may read this file.
config=$(mktemp)
cat > "$config" <<END
Port 2222
HostKey $own/host_key
AuthorizedKeysFile $keys
AuthenticationMethods publickey
PasswordAuthentication no
AllowUsers $(id -un)
PidFile none
PrintMotd no
Subsystem sftp internal-sftp
AcceptEnv LANG LC_*
END
# All of it in one line: of several, sshd takes the first. What belongs to a session is sshd's to say.
printf 'SetEnv%s\n' "$(env | sed -n 's/["\\]/\\&/g; s/^[A-Za-z_][A-Za-z0-9_]*=.*/ "&"/p' |
    grep -Ev '^ "(HOME|HOSTNAME|LOGNAME|MAIL|OLDPWD|PWD|SHELL|SHLVL|SSH_[A-Z]*|TERM|USER|_)=' | tr -d '\n')" >> "$config"

if [ "$#" = 0 ]; then exec /usr/sbin/sshd -D -e -f "$config"; fi
# Away from the terminal: a Ctrl-C there is meant for COMMAND.
setsid /usr/sbin/sshd -D -e -f "$config" &
exec "$@"
