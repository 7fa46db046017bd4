import pytest

from rollcall_sidecar import journal


def test_a_line_is_one_line_whatever_it_quotes(capfd: pytest.CaptureFixture[str]) -> None:
    journal.say("one\r\ntwo\n\x0bthree \udcff" + "x" * 5000)
    said = capfd.readouterr().err
    assert said.startswith("rollcall: one two three \\udcffxxx")
    assert said.count("\n") == 1
    assert len(said) < 1100


def test_a_mishap_names_type_and_place_but_not_the_message(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def deeper() -> None:
        raise RuntimeError("secret")

    try:
        deeper()
    except RuntimeError as error:
        journal.mishap("testing", error)
    said = capfd.readouterr().err
    assert "unexpected RuntimeError at " in said
    assert "deeper:" in said
    assert "while testing" in said
    assert "secret" not in said


def test_a_mishap_that_was_never_raised_has_no_place(capfd: pytest.CaptureFixture[str]) -> None:
    journal.mishap("testing", RuntimeError("secret"))
    assert (
        capfd.readouterr().err == "rollcall: unexpected RuntimeError at ? while testing; going on\n"
    )
