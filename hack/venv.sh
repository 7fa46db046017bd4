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

started=$SECONDS
if ! fits "$directory/bin/python"; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_venv_module "$python"
    echo "making $directory with $("$python" --version)"
    "$python" -m venv --clear "$directory"
fi
echo "installing requirements/dev.txt"
pip=("$directory/bin/python" -m pip --disable-pip-version-check --quiet)
"${pip[@]}" install --require-hashes --requirement requirements/dev.txt
"${pip[@]}" install --no-deps --no-build-isolation --editable .
echo "$directory is ready after $((SECONDS - started)) s"
