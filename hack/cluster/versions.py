"""What is built and which versions of it serve. The one place to change a version."""

from __future__ import annotations

import re

KUBERNETES = "1.36.3"
KIND = "0.33.0"
HELM = "4.3.1"
KWOK = "0.8.0"

# The versions that kubeadm of this Kubernetes asks for; `nodeimage` compares them with its answer.
ETCD = "3.6.8"
COREDNS = "1.14.2"

# The newest release that is a proper Go module.
LOCAL_PATH = "0.0.30"

# `sandbox_image` of kind's containerd configuration, not the newer one of kubeadm's list.
PAUSE = "3.10"

# kind's own default: pkg/apis/config/defaults/image.go of the version above.
PUBLISHED_NODE_IMAGE = (
    "docker.io/kindest/node:v1.37.0"
    "@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
)

# The `go` line of k8s.io/kubernetes' go.mod at the version above.
GO = (1, 26)
# From here on the go command downloads a newer toolchain by itself, unless GOTOOLCHAIN=local.
GO_SELF_UPDATING = (1, 21)


def parse(text: str) -> tuple[int, ...]:
    """Return the first dotted number in `text`; empty when there is none."""
    found = re.search(r"(\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def kubectl_fits(version: tuple[int, ...]) -> bool:
    """Accept one minor version more or less than the API server, as Kubernetes does."""
    major, minor, *_ = parse(KUBERNETES)
    return len(version) > 1 and version[0] == major and abs(version[1] - minor) <= 1


def kind_fits(version: tuple[int, ...]) -> bool:
    """Accept the same minor version: the node image is made of that version's files."""
    return version[:2] == parse(KIND)[:2]


def kwok_fits(version: tuple[int, ...]) -> bool:
    """Accept the same minor version: stages are written for its templates."""
    return version[:2] == parse(KWOK)[:2]


def helm_fits(version: tuple[int, ...]) -> bool:
    """Accept the same major version, whose flags and defaults we use, if not an older minor."""
    return version[:1] == parse(HELM)[:1] and version >= parse(HELM)[:2]
