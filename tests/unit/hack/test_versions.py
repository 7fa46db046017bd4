"""Which versions of tools found on PATH serve."""

import pytest
from cluster import versions


@pytest.mark.parametrize(
    ("text", "version"),
    [
        pytest.param("kind v0.33.0 go1.26.8 linux/amd64", (0, 33, 0), id="kind"),
        pytest.param("Client Version: v1.32.4-dispatcher\nKustomize: v5", (1, 32, 4), id="kubectl"),
        pytest.param("v4.3.1+g0123abc", (4, 3, 1), id="helm"),
        pytest.param("go1.26.8\n", (1, 26, 8), id="go"),
        pytest.param("command not found", (), id="no version"),
    ],
)
def test_the_first_dotted_number_is_the_version(text: str, version: tuple[int, ...]) -> None:
    assert versions.parse(text) == version


@pytest.mark.parametrize(
    ("found", "fits"),
    [
        pytest.param((1, 35, 0), True, id="one minor older"),
        pytest.param((1, 37, 2), True, id="one minor newer"),
        pytest.param((1, 34, 9), False, id="two minors older"),
        pytest.param((), False, id="unknown"),
    ],
)
def test_kubectl_may_be_one_minor_version_away(found: tuple[int, ...], *, fits: bool) -> None:
    assert versions.kubectl_fits(found) is fits


@pytest.mark.parametrize(
    ("found", "fits"),
    [
        pytest.param((4, 3, 0), True, id="same minor"),
        pytest.param((4, 9), True, id="newer minor"),
        pytest.param((4, 2, 7), False, id="older minor"),
        pytest.param((3, 19, 0), False, id="older major"),
        pytest.param((5, 0, 0), False, id="newer major"),
        pytest.param((), False, id="unknown"),
    ],
)
def test_helm_must_be_of_the_same_major_version(found: tuple[int, ...], *, fits: bool) -> None:
    assert versions.helm_fits(found) is fits


@pytest.mark.parametrize(
    ("found", "fits"),
    [
        pytest.param((0, 8, 3), True, id="same minor"),
        pytest.param((0, 9, 0), False, id="newer minor"),
        pytest.param((), False, id="unknown"),
    ],
)
def test_kwok_must_be_of_the_same_minor_version(found: tuple[int, ...], *, fits: bool) -> None:
    assert versions.kwok_fits(found) is fits
