#!/usr/bin/env bash
# Makes the virtual environment DIRECTORY with the pinned packages and this project in it.
# Usage: venv.sh DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/.."
directory=$1

fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if fits "$name"; then
            echo "$name"
            return
        fi
    done
    echo "Python 3.11 or newer is needed and none was found on PATH;" \
        "python3 is $(python3 --version 2>&1 || true)." >&2
    echo "Debian and Ubuntu: apt-get install python3 python3-venv" >&2
    return 1
}

# Debian keeps what a virtual environment is made of in a package of its own.
install_venv_module() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "$1 cannot make virtual environments: install the package python3-venv" >&2
        return 1
    fi
    echo "installing the package python3-venv"
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-venv
}

# What pip is configured to do: by its environment, for installing, or for all of its commands.
pip_says() {
    local where
    for where in :env: install global; do
        if sed -n "s/^$where\.$1='\(.*\)'$/\1/p" <<<"$configuration" | grep .; then
            return
        fi
    done
    return 1
}

# Sets VARIABLE, unless it is set, to what pip says of SETTING; a SEPARATOR goes between several,
# which pip shows on lines of their own from a file and with spaces from its environment.
tell_uv() {
    local said
    said=$(pip_says "$2") || true
    if [ -n "$said" ] && [ -z "${!1:-}" ]; then
        said=${said//'\n'/ }
        export "$1=${said// /$3}"
    fi
}

# uv needs seconds where pip needs a minute. It reads nothing of pip's configuration, so it is told
# where packages come from. Hashes are pinned: whoever has such a file may give it.
install_by_uv() {
    local configuration
    configuration=$("$directory/bin/python" -m pip config list)
    if pip_says no-index >/dev/null; then
        return 1
    fi
    tell_uv UV_DEFAULT_INDEX index-url ' '
    tell_uv UV_INDEX extra-index-url ' '
    tell_uv UV_FIND_LINKS find-links ','
    tell_uv UV_INSECURE_HOST trusted-host ' '
    tell_uv SSL_CERT_FILE cert ' '
    export UV_INDEX_STRATEGY=unsafe-best-match
    "${pip[@]}" install --no-compile --require-hashes --requirement <(pinned uv) &&
        "$directory/bin/uv" pip install --quiet --python "$directory/bin/python" \
            --require-hashes --requirement requirements/dev.txt
}

# The lines of one package in the pinned ones.
pinned() {
    awk -v name="$1==" 'index($0, name) == 1 { on = 1 } on; !/\\$/ { on = 0 }' requirements/dev.txt
}

started=$SECONDS
if ! fits "$directory/bin/python"; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_venv_module "$python"
    echo "making $directory with $("$python" --version)"
    "$python" -m venv --clear "$directory"
fi
echo "installing requirements/dev.txt"
pip=("$directory/bin/python" -m pip --disable-pip-version-check --quiet)
install_by_uv || {
    echo "uv did not do it, pip does" >&2
    "${pip[@]}" install --require-hashes --requirement requirements/dev.txt
}
"${pip[@]}" install --no-compile --no-deps --no-build-isolation --editable .
echo "$directory is ready after $((SECONDS - started)) s"
