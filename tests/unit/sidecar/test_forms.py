import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import forms

MOST = 8


@given(st.text() | st.text(alphabet="ab=&+%4C3c;é"))
def test_a_form_is_read_as_the_standard_library_reads_it(text: str) -> None:
    try:
        expected = urllib.parse.parse_qsl(text, keep_blank_values=True, max_num_fields=MOST)
    except ValueError:
        with pytest.raises(forms.TooMany):
            forms.pairs(text, MOST)
    else:
        assert forms.pairs(text, MOST) == expected


def test_a_value_may_hold_anything_that_is_written_in_percents() -> None:
    assert forms.pairs("a=%26%3D%2B+%C3%A4&&b&=c&d=%zz%f", MOST) == [
        ("a", "&=+ ä"),
        ("b", ""),
        ("", "c"),
        ("d", "%zz%f"),
    ]
