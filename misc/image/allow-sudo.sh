#!/bin/sh
# allow-sudo.sh: let the account that people work as become root, with no password: there is none. The account is made
# later; it will be in the group that may write the Python environment.
set -eu

"${0%/*}/install-packages.sh" sudo
mkdir -p /etc/sudoers.d
cat > /etc/sudoers.d/cresset <<'END'
%#65500 ALL=(ALL:ALL) NOPASSWD: ALL
# What an installation needs of the host's network.
Defaults env_keep += "HTTP_PROXY http_proxy HTTPS_PROXY https_proxy NO_PROXY no_proxy"
Defaults env_keep += "SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE GIT_SSL_CAINFO TZ"
END
chmod 0440 /etc/sudoers.d/cresset
visudo --check --quiet --file=/etc/sudoers.d/cresset
