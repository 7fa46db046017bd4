"""Whose image a pod waits for, as kubelet's messages name it."""

import re

UNPULLED = "ImagePullBackOff"
_IMAGE = re.compile(r'image "([^"\s]+)"')
_DOCKER_HUB = "docker.io"


def registry(message: str | None) -> str | None:
    """Return the host that a message's image comes from, None if it names no image."""
    found = _IMAGE.search(message or "")
    if found is None:
        return None
    host, slash, _ = found[1].partition("/")
    is_host = slash and ("." in host or ":" in host or host == "localhost")
    return host.lower() if is_host else _DOCKER_HUB
