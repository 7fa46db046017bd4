"""What is printed lines up, obeys nobody, and may be read by `head`."""

import subprocess
import sys
from datetime import datetime, timedelta, timezone

from rollcall.cli import output


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert list(output.aligned([["a", "bb", "c"], ["aaa", "b", ""]])) == ["a    bb  c", "aaa  b"]


def test_further_lines_of_the_last_cell_stay_in_its_column() -> None:
    assert list(output.aligned([["failed", "no route\n\tto the warehouse"]])) == [
        "failed  no route",
        "            to the warehouse",
    ]


def test_a_terminal_is_given_nothing_to_obey() -> None:
    assert list(output.aligned([["a", "\x1b[2J\x07 gone\x9b"]])) == [r"a  \x1b[2J\x07 gone\x9b"]


def test_who_stops_reading_ends_the_output_and_no_more() -> None:
    script = "from rollcall.cli import output; output.show(['many words'] * 100_000)"
    writer = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert writer.stdout
    assert writer.stdout.readline() == b"many words\n"
    writer.stdout.close()
    assert writer.stderr
    assert (writer.wait(), writer.stderr.read()) == (0, b"")
    writer.stderr.close()


def test_times_are_utc_to_the_second_as_those_of_kubernetes() -> None:
    berlin = timezone(timedelta(hours=2))
    at = datetime(2026, 7, 2, 5, 0, 1, 999_999, tzinfo=berlin)
    assert output.utc(at) == output.utc_if(at) == "2026-07-02T03:00:01Z"
    assert output.utc_if(None) is None
