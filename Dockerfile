# The images of Rollcall: targets `operator` (also the api process), `sidecar` and `postgres`.
# All run as the numeric user 65532 on a read-only root file system.
#
# A build may get four secrets, so that a machine's own mirrors and certificates leave no trace:
# apt_sources, apt_options, pip_conf, ca_bundle. None is needed where the public ones are reached.
ARG BASE=docker.io/library/debian:trixie-slim

# ---------------------------------------------------------------- operator
FROM ${BASE} AS python
LABEL dev.rollcall.build=true
RUN --mount=type=secret,id=apt_sources,target=/etc/apt/sources.list.d/build.list \
    --mount=type=secret,id=apt_options,target=/etc/apt/apt.conf.d/99build \
    apt-get update \
    && apt-get install -y --no-install-recommends python3 ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*

FROM python AS operator-build
LABEL dev.rollcall.build=true
RUN --mount=type=secret,id=apt_sources,target=/etc/apt/sources.list.d/build.list \
    --mount=type=secret,id=apt_options,target=/etc/apt/apt.conf.d/99build \
    apt-get update && apt-get install -y --no-install-recommends python3-venv
COPY requirements/server.txt /requirements.txt
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi \
    && python3 -m venv /opt/rollcall \
    && /opt/rollcall/bin/pip install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes --requirement /requirements.txt \
    && /opt/rollcall/bin/pip uninstall --yes --quiet pip \
    && find /opt/rollcall -type d \( -name tests -o -name test \) -prune -exec rm -r {} +
COPY hack/images/rollcall /opt/rollcall/bin/rollcall
COPY operator/rollcall /opt/rollcall/lib/python3.13/site-packages/rollcall
RUN python3 -m compileall -q /opt/rollcall/lib/python3.13/site-packages/rollcall

FROM python AS operator
COPY --from=operator-build /opt/rollcall /opt/rollcall
ENV PATH=/opt/rollcall/bin:/usr/bin:/bin \
    HOME=/tmp \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["rollcall"]

# ---------------------------------------------------------------- sidecar
FROM python AS sidecar-build
LABEL dev.rollcall.build=true
COPY hack/images/closure.sh hack/images/sidecar-root.sh /
COPY sidecar /sidecar
RUN sh /sidecar-root.sh /root-of-sidecar /sidecar

FROM scratch AS sidecar
COPY --from=sidecar-build /root-of-sidecar /
USER 65532:65532
# -I and -S: nothing of the pod's environment or file system changes what is imported.
ENTRYPOINT ["/usr/bin/python3", "-I", "-S", "/opt/rollcall-sidecar/__main__.py"]

# ---------------------------------------------------------------- postgres
FROM ${BASE} AS postgres-build
LABEL dev.rollcall.build=true
RUN --mount=type=secret,id=apt_sources,target=/etc/apt/sources.list.d/build.list \
    --mount=type=secret,id=apt_options,target=/etc/apt/apt.conf.d/99build \
    apt-get update && apt-get install -y --no-install-recommends postgresql-17 tzdata
COPY hack/images/closure.sh /
# Without what only its compiler for queries needs.
RUN rm -rf /usr/lib/postgresql/17/lib/bitcode /usr/lib/postgresql/17/lib/llvmjit* \
    && sh /closure.sh /root-of-postgres \
        /usr/lib/postgresql/17 /usr/share/postgresql/17 /usr/share/zoneinfo

FROM ${BASE} AS postgres
COPY --from=postgres-build /root-of-postgres /
COPY hack/images/postgres-entrypoint.sh /usr/local/bin/postgres-entrypoint
RUN echo "postgres:x:65532:65532:PostgreSQL:/var/lib/postgresql:/bin/sh" >> /etc/passwd \
    && echo "postgres:x:65532:" >> /etc/group \
    && install -d -o 65532 -g 65532 -m 0775 /var/lib/postgresql /run/postgresql
ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PGDATA=/var/lib/postgresql/data
USER 65532:65532
EXPOSE 5432
# The fast shutdown: ends sessions at once and writes a checkpoint.
STOPSIGNAL SIGINT
ENTRYPOINT ["postgres-entrypoint"]
