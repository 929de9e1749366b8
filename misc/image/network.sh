# Sourced by each step that downloads something: what the host knows about the network, as the tools here read it.
# A secret that was not given is absent or an empty file, and an empty SSL_CERT_FILE would break every connection.
# shellcheck shell=sh

secret() {
    if [ -s "/run/secrets/$1" ]; then cat "/run/secrets/$1"; fi
}

if [ -s /run/secrets/ca ]; then
    export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca REQUESTS_CA_BUNDLE=/run/secrets/ca
    export CURL_CA_BUNDLE=/run/secrets/ca GIT_SSL_CAINFO=/run/secrets/ca
fi

# uv reads neither pip.conf nor PIP_*, so each setting is said twice.
if [ -s /run/secrets/index_url ]; then
    PIP_INDEX_URL=$(secret index_url) && export PIP_INDEX_URL UV_DEFAULT_INDEX="$PIP_INDEX_URL"
fi
if [ -s /run/secrets/extra_index_url ]; then
    PIP_EXTRA_INDEX_URL=$(secret extra_index_url) && export PIP_EXTRA_INDEX_URL UV_INDEX="$PIP_EXTRA_INDEX_URL"
fi
if [ -s /run/secrets/trusted_host ]; then
    PIP_TRUSTED_HOST=$(secret trusted_host) && export PIP_TRUSTED_HOST UV_INSECURE_HOST="$PIP_TRUSTED_HOST"
fi
if [ -s /run/secrets/python_mirror ]; then
    UV_PYTHON_INSTALL_MIRROR=$(secret python_mirror) && export UV_PYTHON_INSTALL_MIRROR
fi

# A slow mirror is no error, nor is a connection that breaks: uv begins the file again, a new pip goes on with it.
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_DEFAULT_TIMEOUT=60 PIP_ROOT_USER_ACTION=ignore UV_HTTP_TIMEOUT=60
export PIP_RESUME_RETRIES=20 UV_HTTP_RETRIES=5
# A cache mount is another file system: hard links from it are impossible, and trying prints a warning.
export UV_LINK_MODE=copy UV_PYTHON_CACHE_DIR=/root/.cache/uv/python

# What pip said into FILE, in few lines: of its tries the first with the reason, of the versions there are the newest.
told() { # FILE
    awk '!/Retrying \(/ || !tries++' "$1" | sed -E 's/\(from versions: .*, ([^,)]+)\)/(the newest: \1)/'
}

# For what does neither by itself, such as the pip of older distributions.
retry() { # COMMAND...
    "$@" || { sleep 1 && "$@"; } || { sleep 5 && "$@"; }
}
