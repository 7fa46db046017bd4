"""Which addresses alerts may be sent to: those of the internet, and what the operator allows.

An AlertChannel could name anything that our pod can reach: the metadata service of the cloud, the
API server, a database. So the address that a name led to is judged, not the name, and of an address
that carries another one, the one that is reached by it.

- The internet may be told.
- A name that is allowed may lead into private networks, as Services do.
- Loopback, link-local (cloud metadata), multicast and the like may be told only where the network
  itself is allowed.
"""

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from rollcall.core import errors

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SERVICES = "*.svc,*.svc.cluster.local"
LONGEST_NAME = 253
# RFC 6052: an IPv4 address in the last four bytes.
_NAT64 = IPv6Network("64:ff9b::/96")
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What may be told beside the internet."""

    names: tuple[str, ...] = ()  # exact, or `*.` and what follows
    networks: tuple[Network, ...] = ()

    def has_name(self, host: str) -> bool:
        """Whether this name may lead into private networks."""
        name = host.lower().rstrip(".")
        return any(_matches(name, pattern) for pattern in self.names)

    def has_address(self, address: Address) -> bool:
        """Whether the address lies in a network that is allowed."""
        return any(address in network for network in self.networks)


def read(text: str) -> Allowed:
    """Read names and networks, separated by commas.

    Raises errors.InvalidSpec.
    """
    names, networks = [], []
    for item in filter(None, map(str.strip, text.split(","))):
        network = _network(item)
        if network:
            networks.append(network)
        elif _is_pattern(item):
            names.append(item.lower())
        else:
            raise errors.InvalidSpec(
                "InvalidSetting",
                f"{item!r} is neither a network such as 10.0.0.0/8 nor a name such as *.svc",
            )
    return Allowed(names=tuple(names), networks=tuple(networks))


def refusal(host: str, address: str, allowed: Allowed) -> str | None:
    """Say why this address, to which `host` led, may not be told; None if it may."""
    one = _meant(ip_address(address))
    if allowed.has_address(one):
        return None
    if _is_ours_alone(one):
        return f"{address} is of this machine or its link, which no alert may reach"
    if not one.is_global and not allowed.has_name(host):
        return f"{address} is in a private network that is not allowed"
    return None


def _meant(address: Address) -> Address:
    """Return what is reached by the address: one that it carries, or itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)  # as networks of IPv6 alone write it
    return address.ipv4_mapped or address.sixtofour or address


def _is_ours_alone(address: Address) -> bool:
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
    )


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return name.endswith(pattern[1:]) and name != pattern[1:]
    return name == pattern


def _network(item: str) -> Network | None:
    try:
        return ip_network(item)
    except ValueError:
        return None


def _is_pattern(item: str) -> bool:
    name = item.lower().removeprefix("*.")
    labels = name.split(".")
    is_number = labels[-1].isdigit()  # a mistyped address
    fine = 0 < len(name) <= LONGEST_NAME and set(name) <= _NAME_CHARACTERS and all(labels)
    return fine and not is_number
