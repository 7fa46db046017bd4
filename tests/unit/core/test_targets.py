"""Which addresses may be told."""

import pytest

from rollcall.core import errors, targets

NOTHING = targets.read("")
SERVICES = targets.read(targets.SERVICES)


@pytest.mark.parametrize("address", ["1.1.1.1", "140.82.112.3", "2606:4700:4700::1111"])
def test_the_internet_may_be_told(address: str) -> None:
    assert targets.refusal("hooks.test", address, NOTHING) is None


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("127.8.8.8", id="all-of-loopback"),
        pytest.param("0.0.0.0", id="unspecified"),  # noqa: S104 - an address to refuse
        pytest.param("169.254.169.254", id="metadata"),
        pytest.param("10.96.0.1", id="private"),
        pytest.param("172.16.0.1", id="private-172"),
        pytest.param("192.168.1.1", id="private-192"),
        pytest.param("100.64.0.1", id="cgnat"),
        pytest.param("100.100.100.200", id="metadata-in-cgnat"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("240.0.0.1", id="reserved"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("::1", id="loopback-6"),
        pytest.param("::", id="unspecified-6"),
        pytest.param("fe80::1", id="link-local-6"),
        pytest.param("fe80::1%eth0", id="zone"),
        pytest.param("fd00::1", id="unique-local"),
        pytest.param("ff02::1", id="multicast-6"),
        pytest.param("::ffff:127.0.0.1", id="mapped-loopback"),
        pytest.param("::ffff:169.254.169.254", id="mapped-metadata"),
        pytest.param("64:ff9b::a9fe:a9fe", id="nat64-metadata"),
        pytest.param("64:ff9b::7f00:1", id="nat64-loopback"),
        pytest.param("64:ff9b::a00:1", id="nat64-private"),
        pytest.param("2002:7f00:1::", id="6to4-loopback"),
        pytest.param("2002:a9fe:a9fe::1", id="6to4-metadata"),
        pytest.param("2001:0:7f00:1::", id="teredo"),
    ],
)
def test_what_is_not_the_internet_may_not(address: str) -> None:
    assert targets.refusal("hooks.test", address, NOTHING) is not None


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("::ffff:1.1.1.1", id="mapped"),
        pytest.param("64:ff9b::101:101", id="nat64"),
        pytest.param("2002:101:101::", id="6to4"),
    ],
)
def test_what_leads_to_the_internet_may_be_told(address: str) -> None:
    assert targets.refusal("hooks.test", address, NOTHING) is None


@pytest.mark.parametrize(
    ("host", "address", "may"),
    [
        pytest.param("receiver.demo.svc", "10.96.12.3", True, id="service"),
        pytest.param("Receiver.Demo.SVC.", "10.96.12.3", True, id="written-otherwise"),
        pytest.param("receiver.demo.svc.cluster.local", "fd00::7", True, id="whole-name"),
        pytest.param("receiver.demo.svc.evil.test", "10.96.12.3", False, id="another-end"),
        pytest.param("evilsvc", "10.96.12.3", False, id="no-dot"),
        pytest.param(".svc", "10.96.12.3", False, id="nothing-before-the-dot"),
        pytest.param("receiver.demo.svc", "169.254.169.254", False, id="metadata"),
        pytest.param("receiver.demo.svc", "127.0.0.1", False, id="loopback"),
        pytest.param("receiver.demo.svc", "1.1.1.1", True, id="internet"),
    ],
)
def test_a_name_that_is_allowed_may_lead_into_private_networks(
    host: str, address: str, *, may: bool
) -> None:
    assert (targets.refusal(host, address, SERVICES) is None) is may


@pytest.mark.parametrize(
    ("allowed", "address", "may"),
    [
        pytest.param("10.0.0.0/8", "10.1.2.3", True, id="network"),
        pytest.param("10.0.0.0/8", "192.168.0.1", False, id="another-network"),
        pytest.param("10.1.2.3", "10.1.2.3", True, id="one-address"),
        pytest.param("127.0.0.0/8", "127.0.0.1", True, id="loopback"),
        pytest.param("fd00::/8", "fd00::1", True, id="network-6"),
        pytest.param("10.0.0.0/8", "fd00::1", False, id="of-the-other-kind"),
        pytest.param("10.0.0.0/8", "::ffff:10.1.2.3", True, id="mapped"),
    ],
)
def test_a_network_that_is_allowed_may_be_told(allowed: str, address: str, *, may: bool) -> None:
    assert (targets.refusal("a.test", address, targets.read(allowed)) is None) is may


def test_an_exact_name_is_no_pattern() -> None:
    allowed = targets.read("am.monitoring.svc")
    assert targets.refusal("am.monitoring.svc", "10.0.0.1", allowed) is None
    assert targets.refusal("x.am.monitoring.svc", "10.0.0.1", allowed) is not None


def test_a_list_may_have_spaces_and_nothing_between_commas() -> None:
    allowed = targets.read(" *.svc, ,10.0.0.0/8 ,")
    assert allowed.names == ("*.svc",)
    assert [str(network) for network in allowed.networks] == ["10.0.0.0/8"]


@pytest.mark.parametrize(
    "item", ["*", "10.0.0.0/33", "10.0.0.1/8", "10.0.0", "a b", "*.*.svc", "a..b", "http://a"]
)
def test_what_is_neither_a_name_nor_a_network_is_refused(item: str) -> None:
    with pytest.raises(errors.InvalidSpec, match="neither a network"):
        targets.read(f"*.svc,{item}")
