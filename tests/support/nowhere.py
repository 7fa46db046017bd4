"""An API server that is not there."""

from rollcall.cluster import credentials


async def nobody() -> None:
    """Show nobody's credentials."""


def access() -> credentials.Credentials:
    """Lead to a port that nobody listens on."""
    return credentials.Credentials(host="http://127.0.0.1:1", tls=None, authorization=nobody)
