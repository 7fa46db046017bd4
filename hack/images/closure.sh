#!/bin/sh
# Copies programs and files, with the shared libraries they load, below a new root.
# Usage: closure.sh ROOT PATH...
set -eu
root=$1
shift

# /lib and its like are links into /usr on Debian; the new root gets the same ones.
for name in bin sbin lib lib64; do
    if [ -L "/$name" ] && [ ! -e "$root/$name" ]; then
        mkdir -p "$root/usr/$name"
        ln -s "usr/$name" "$root/$name"
    fi
done

put() {
    if [ -e "$root$1" ] || [ -L "$root$1" ]; then return; fi
    mkdir -p "$root$(dirname "$1")"
    cp -a "$1" "$root$1"
    # A link is copied as it is, so what it points to must be there too: step by step, for the
    # links of `alternatives` form chains.
    if [ -L "$1" ]; then
        case $(readlink "$1") in
            /*) put "$(readlink "$1")" ;;
            *) put "$(dirname "$1")/$(readlink "$1")" ;;
        esac
    fi
}

libraries() {
    # The loader itself is named without an arrow; files that are not dynamic name nothing.
    ldd "$1" 2>/dev/null | sed -n 's/^\s*\(.* => \)\?\(\/[^ ]*\) (0x.*$/\2/p'
}

for path in "$@"; do
    for file in $(find "$path" ! -type d); do
        put "$file"
        for library in $(libraries "$(readlink -f "$file")"); do put "$library"; done
    done
done
