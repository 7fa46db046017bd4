"""How much a peer may ask of a server, and for how long it may make it wait."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    largest_head: int = 16 * 1024
    largest_body: int = 0
    most_held: int = 32 * 1024 * 1024  # of requests that come or wait for their turn
    read_within: float = 5.0  # a head; a body; and by the other side what we have written
    idle: float = 5.0  # between two requests
    linger: float = 2.0  # until the other side closes too
    stop_within: float = 5.0  # from the wish to stop until all is answered
    most_connections: int = 1_000
    look_every: float = 0.5  # what takes too long is found out that much later
