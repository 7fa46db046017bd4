#!/bin/sh
# Assembles the sidecar's root file system: the interpreter, the standard library, the sidecar.
# Usage: sidecar-root.sh ROOT SIDECAR_FOLDER
set -eu
root=$1
sidecar=$2
library=/usr/lib/python3.13

# Extension modules that a client and server of HTTP can load; the others stay behind.
extensions=
for name in _contextvars _hashlib _queue _ssl _zoneinfo; do
    extensions="$extensions $(ls "$library/lib-dynload/$name".*.so)"
done
sh /closure.sh "$root" /usr/bin/python3 $extensions /etc/ssl/certs/ca-certificates.crt

# The standard library as byte code only, without docstrings: half the size, and less memory in
# every tracked pod. Left out: tests, graphics, installers, and tools for developers.
cp -a "$library/." "$root$library-sources"
cd "$root$library-sources"
rm -rf __pycache__ lib-dynload test idlelib tkinter turtle* ensurepip venv lib2to3 pydoc_data \
    pydoc.py _pyrepl sqlite3 curses dbm ctypes config-3.13-* unittest doctest.py xml/dom xmlrpc \
    wsgiref multiprocessing asyncio concurrent sitecustomize.py
find . -name __pycache__ -prune -exec rm -r {} +
cd /
python3 -m compileall -q -b -o 2 --invalidation-mode unchecked-hash "$root$library-sources"
find "$root$library-sources" -type f ! -name '*.pyc' -delete
find "$root$library-sources" -type d -empty -delete
cp -a "$root$library-sources/." "$root$library"
rm -r "$root$library-sources"

# The sidecar with its sources, for tracebacks, and byte code that is never checked against them.
mkdir -p "$root/opt" "$root/tmp" "$root/etc"
cp -a "$sidecar" "$root/opt/rollcall-sidecar"
find "$root/opt" -name __pycache__ -prune -exec rm -r {} +
python3 -m compileall -q --invalidation-mode unchecked-hash "$root/opt/rollcall-sidecar"
echo 'sidecar:x:65532:65532::/:/nonexistent' > "$root/etc/passwd"
chmod -R go+rX,go-w "$root"

# What was left out must not be missed: import everything in the new root.
cat > "$root/tmp/check.py" <<'CHECK'
import importlib, pathlib, sys
sys.path.insert(0, "/opt/rollcall-sidecar")
for file in pathlib.Path("/opt/rollcall-sidecar/rollcall_sidecar").glob("*.py"):
    importlib.import_module(f"rollcall_sidecar.{file.stem}")
import email.utils, encodings.idna
CHECK
chroot "$root" /usr/bin/python3 -I -S -B /tmp/check.py
rm "$root/tmp/check.py"
