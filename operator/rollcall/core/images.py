"""Images: whose a pod waits for, as kubelet's messages name it, and what ran, as its status does.

A status names an image by its registry's digest, `repository@sha256:…`, which of an image for
several architectures is the same for all. An image that no registry knows is named by an id of the
node's own, which differs between architectures; so does CRI-O name any image, at times.
"""

import re

UNPULLED = "ImagePullBackOff"
_IMAGE = re.compile(r'image "([^"\s]+)"')
_DOCKER_HUB = "docker.io"
_RUNTIME = re.compile(r"^[a-z-]+://")  # docker-pullable://, docker://
_DIGEST = re.compile(r"[0-9a-f]{64}$")


def registry(message: str | None) -> str | None:
    """Return the host that a message's image comes from, None if it names no image."""
    found = _IMAGE.search(message or "")
    if found is None:
        return None
    host, slash, _ = found[1].partition("/")
    is_host = slash and ("." in host or ":" in host or host == "localhost")
    return host.lower() if is_host else _DOCKER_HUB


def are_same(one: str, other: str, *, is_same_node: bool) -> bool | None:
    """Whether two ids are of the same image; None where they cannot be compared.

    The same content may be in two repositories under two digests, so that only those of one
    repository are compared.
    """
    if digest(one) == digest(other):
        return True
    if repository(one) != repository(other):
        return None
    return False if repository(one) or is_same_node else None


def repository(image_id: str) -> str | None:
    """Return where an image came from, None for an id of a node's own."""
    name, at, _ = _RUNTIME.sub("", image_id).rpartition("@")
    return name if at else None


def digest(image_id: str) -> str:
    """Return the digest alone, of an id that has none all of it."""
    found = _DIGEST.search(image_id)
    return found[0] if found else image_id
