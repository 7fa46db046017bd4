#!/bin/bash
# Starts PostgreSQL on $PGDATA and creates the database there at the first start.
#
# Understands the variables of the public `postgres` image, which can take this one's place:
# POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, POSTGRES_USER, POSTGRES_DB, PGDATA.
#
# - The data directory is made under another name and renamed: a first start that is interrupted
#   leaves nothing that a second one would take for a database.
# - The password of the environment is set at every start, so that a renewed Secret counts.
# - Further arguments go to `postgres`, after and thus above the settings below.
set -euo pipefail

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
draft=$PGDATA.draft

# For one pod's budget of 256 MiB; what matters more is set by the arguments.
settings=(
    -c "listen_addresses=*"
    -c "max_connections=60"
    -c "shared_buffers=64MB"
    -c "maintenance_work_mem=32MB"
    -c "max_wal_size=512MB"
    -c "wal_compression=lz4"
    -c "huge_pages=off"
    -c "jit=off"
    -c "max_parallel_workers_per_gather=0"
    -c "password_encryption=scram-sha-256"
    -c "timezone=UTC"
    -c "log_timezone=UTC"
)

die() {
    echo "postgres-entrypoint: $*" >&2
    exit 1
}

password() {
    local text=${POSTGRES_PASSWORD:-}
    if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
        [ -r "$POSTGRES_PASSWORD_FILE" ] || die "cannot read $POSTGRES_PASSWORD_FILE"
        text=$(< "$POSTGRES_PASSWORD_FILE")
    fi
    case $text in *$'\n'*) die "the password must be one line" ;; esac
    printf '%s' "$text"
}

# Runs one statement without a server; its words stay out of the process list.
alone() {
    local data=$1 place=$2 statement=$3
    postgres --single -D "$data" -c log_min_messages=error "$place" <<< "$statement" > /dev/null
}

identifier() { printf '"%s"' "${1//\"/\"\"}"; }

literal() { printf "'%s'" "${1//\'/\'\'}"; }

initialise() {
    echo "postgres-entrypoint: creating the database in $PGDATA"
    [ -n "$secret" ] || die "set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE"
    [ -w "$(dirname "$PGDATA")" ] || die "PGDATA must be a folder in the volume, not the volume"
    rm -rf "$draft"
    initdb --pgdata="$draft" --username="$user" --pwfile=<(printf '%s\n' "$secret") \
        --auth-local=trust --auth-host=scram-sha-256 --data-checksums \
        --encoding=UTF8 --locale=C.UTF-8 --locale-provider=builtin --builtin-locale=C.UTF-8
    echo "host all all all scram-sha-256" >> "$draft/pg_hba.conf"
    if [ "$database" != postgres ]; then
        alone "$draft" template1 "CREATE DATABASE $(identifier "$database")"
    fi
    if [ -d "$PGDATA" ]; then
        rmdir "$PGDATA" || die "$PGDATA is neither empty nor a database"
    fi
    mv "$draft" "$PGDATA"
    sync "$PGDATA/.."
}

secret=$(password)
server=$(postgres --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initialise
elif [ "$(< "$PGDATA/PG_VERSION")" != "$server" ]; then
    die "$PGDATA is of PostgreSQL $(< "$PGDATA/PG_VERSION"), this is $server: dump it there, load it here"
elif [ -n "$secret" ]; then
    alone "$PGDATA" postgres \
        "ALTER ROLE $(identifier "$user") PASSWORD $(literal "$secret")"
fi

# A socket for people and probes inside the pod, where there is a place for it.
if [ -w /run/postgresql ]; then
    settings+=(-c "unix_socket_directories=/run/postgresql")
else
    settings+=(-c "unix_socket_directories=")
fi
unset POSTGRES_PASSWORD
exec postgres -D "$PGDATA" "${settings[@]}" "$@"
