"""The temporary Postgres of the tests, as far as it needs none."""

import pytest

from support import postgres


def test_a_missing_program_names_the_package_to_install() -> None:
    with pytest.raises(postgres.PostgresMissingError, match="apt-get install postgresql"):
        postgres.program("no-such-program")
