import io
import json
import urllib.parse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall_sidecar import bodies, refusals, sockets

FORM = "application/x-www-form-urlencoded"


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def read(body: bytes, **headers: str) -> bytes:
    fields = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    bodies.check(fields)
    return bodies.read(io.BytesIO(body), fields)


def test_as_many_bytes_are_read_as_were_announced() -> None:
    assert read(b"done=1GET /run", Content_Length="6") == b"done=1"
    assert read(b"done=1") == b""


def test_a_body_in_chunks_is_put_together() -> None:
    body = chunked(b"done=", b"1&total=2") + b"more"
    assert read(body, Transfer_Encoding="chunked") == b"done=1&total=2"
    assert read(b"2;x=y\nok\n0\n", Transfer_Encoding="Chunked") == b"ok"


@pytest.mark.parametrize(
    ("body", "headers", "status", "names"),
    [
        pytest.param(b"x", {"Content_Length": "2"}, 400, "1 of 2", id="ended early"),
        pytest.param(b"x", {"Content_Length": "-1"}, 400, "bytes", id="a length below zero"),
        pytest.param(b"x", {"Content_Length": "1, 1"}, 400, "bytes", id="two lengths"),
        pytest.param(b"x", {"Content_Length": "81921"}, 413, "80 KiB", id="a byte too much"),
        pytest.param(b"x", {"Content_Length": "9" * 5000}, 413, "80 KiB", id="beyond all memory"),
        pytest.param(b"x", {"Content_Length": "99999"}, 413, "--json", id="maybe large as a form"),
        pytest.param(b"x", {"Content_Encoding": "gzip"}, 415, "compressed", id="compressed"),
        pytest.param(b"", {"Transfer_Encoding": "chunked"}, 400, "chunks", id="no chunk"),
        pytest.param(b"zz\r\n", {"Transfer_Encoding": "chunked"}, 400, "chunks", id="no size"),
        pytest.param(b"5\r\nab", {"Transfer_Encoding": "chunked"}, 400, "chunks", id="cut off"),
        pytest.param(b"1\r\nabc", {"Transfer_Encoding": "chunked"}, 400, "chunks", id="too long"),
        pytest.param(b"", {"Transfer_Encoding": "gzip, chunked"}, 400, "chunks", id="two codings"),
        pytest.param(
            chunked(b"x"),
            {"Transfer_Encoding": "chunked", "Content_Length": "1"},
            400,
            "Content-Length, or",
            id="two framings",
        ),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    body: bytes, headers: dict[str, str], status: int, names: str
) -> None:
    with pytest.raises(refusals.Refused, match=names) as caught:
        read(body, **headers)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "body", [chunked(*[b"x" * 8192] * 11), b"ffffffff\r\n"], ids=["many chunks", "a huge chunk"]
)
def test_chunks_are_read_up_to_a_limit(body: bytes) -> None:
    with pytest.raises(sockets.TooLarge):
        read(body, Transfer_Encoding="chunked")


@pytest.mark.parametrize("kind", ["application/json", "", FORM, "text/plain; charset=utf-8"])
def test_json_is_json_whatever_it_is_called(kind: str) -> None:
    assert bodies.fields(b' {"done": 5, "counters": {"a": 1}}', kind) == {
        "done": 5,
        "counters": {"a": 1},
    }
    assert bodies.fields(b'\xef\xbb\xbf{"done": 5}', kind) == {"done": 5}


def test_a_form_has_numbers_counters_and_documents() -> None:
    body = b"done=4&total=1e2&retryAfter=05&counters.rows=400&counters.a.b=-1.5&metadata.v=1.10"
    assert bodies.fields(body, FORM) == {
        "done": 4,
        "total": 100.0,
        "retryAfter": "05",
        "counters": {"rows": 400, "a.b": -1.5},
        "metadata": {"v": "1.10"},
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("%7B%22page%22%3A7%7D", {"page": 7}),
        ('{"page":7}', {"page": 7}),
        ("7", 7),
        ("null", None),
        ("page+7", "page 7"),
        ("{page: 7}", "{page: 7}"),
        ("NaN", "NaN"),
        ("9007199254740992", "9007199254740992"),
        ("1e999", "1e999"),
        ("[9007199254740992 of them", "[9007199254740992 of them"),
        ('{"id": 9007199254740992', '{"id": 9007199254740992'),
        ('{"id":"9007199254740992"}', {"id": "9007199254740992"}),
        ("", ""),
    ],
)
def test_a_document_in_a_form_is_json_or_else_a_text(text: str, value: Any) -> None:  # noqa: ANN401
    assert bodies.fields(f"value={text}".encode(), FORM) == {"value": value}


@pytest.mark.parametrize(
    ("field", "document"),
    [
        pytest.param("value", '{"last_id": 1234567890123456789}', id="an id"),
        pytest.param("payload", " [-9007199254740992]", id="below zero"),
        pytest.param("metadata", '{"a": [1, {"b": 1e16}]}', id="deep inside"),
        pytest.param("counters", '{"a": 1e999}', id="without end"),
        pytest.param("value", '["x", NaN]', id="NaN"),
        pytest.param("payload", '{"a": -Infinity}', id="infinity"),
        pytest.param("value", "[" + "9" * 5000 + "]", id="5,000 digits"),
    ],
)
def test_a_document_is_refused_for_a_number_in_a_form_as_in_json(field: str, document: str) -> None:
    refused = []
    for body in (f'{{"{field}": {document}}}', f"{field}={document}"):
        with pytest.raises(refusals.Refused, match=r"9007199254740991.*a string") as caught:
            bodies.fields(body.encode(), FORM)
        refused.append((caught.value.status, caught.value.detail))
    assert refused[0] == refused[1]
    assert refused[0][0] == 422


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=9,
    ).filter(lambda value: isinstance(value, list | dict))
)
def test_a_document_means_the_same_in_a_form_as_in_json(
    document: list[Any] | dict[str, Any],
) -> None:
    def read(body: str) -> dict[str, Any] | tuple[int, str]:
        try:
            return bodies.fields(body.encode(), FORM)
        except refusals.Refused as refusal:
            return refusal.status, refusal.detail

    written = json.dumps(document)
    form = f"value={urllib.parse.quote(written)}"
    assert read(form) == read(f'{{"value": {written}}}')


def test_a_text_in_a_form_stays_a_text() -> None:
    body = b"item=17&message=100%25+done&stage=null&error=%FF&type"
    assert bodies.fields(body, FORM) == {
        "item": "17",
        "message": "100% done",
        "stage": "null",
        "error": "\ufffd",
        "type": "",
    }


@pytest.mark.parametrize(
    ("body", "kind", "status", "names"),
    [
        pytest.param(b"", "application/json", 400, "not JSON", id="nothing for JSON"),
        pytest.param(b'{"a": 1', "", 400, "line 1 column", id="half of JSON"),
        pytest.param(b"[1]", "", 400, "JSON object", id="a list"),
        pytest.param(b'"a"', "application/json", 400, "JSON object", id="a word"),
        pytest.param(b'{"a": NaN}', "", 422, "number", id="NaN"),
        pytest.param(b'{"a": -Infinity}', "", 422, "number", id="infinity"),
        pytest.param(b'{"a": 1e999}', "", 422, "number", id="a number without end"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "", 422, "number", id="5,000 digits"),
        pytest.param(b'{"a": [-9007199254740992]}', "", 422, "9007199254740991", id="2**53"),
        pytest.param(b'{"a":' + b"[" * 80_000, "", 422, "64 levels", id="80,000 levels"),
        pytest.param(b"payload=" + b"[" * 65, FORM, 422, "64 levels", id="65 levels in a form"),
        pytest.param(b"a=\xff", FORM, 400, "UTF-8", id="no text"),
        pytest.param(b"a&" * 300, FORM, 413, "200 fields", id="300 fields"),
        pytest.param(b"done=1&done=2", FORM, 422, "done stands", id="twice"),
        pytest.param(b"counters.a=1&counters.a=2", FORM, 422, "counters.a", id="a counter twice"),
        pytest.param(b"counters=5&counters.a=2", FORM, 422, "counters.a", id="a group and a text"),
        pytest.param(
            b"counters.a=2&counters={}", FORM, 422, "counters st", id="a text and a group"
        ),
        pytest.param(b"--x", "multipart/form-data; boundary=x", 415, "curl -F", id="multipart"),
    ],
)
def test_what_is_neither_json_nor_a_form_is_refused_in_words(
    body: bytes, kind: str, status: int, names: str
) -> None:
    with pytest.raises(refusals.Refused, match=names) as caught:
        bodies.fields(body, kind)
    assert caught.value.status == status
    assert len(caught.value.detail) < 300


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("[", "]"), ('{"[":', "}"), ('["\\"[", ', "]"), ('["\\\\", ', "]")],
    ids=["lists", "objects", "quotes in texts", "backslashes in texts"],
)
def test_64_levels_are_read_and_65_are_not(opening: str, closing: str) -> None:
    def nested(levels: int) -> bytes:
        return f'{{"value": {opening * levels}1{closing * levels}}}'.encode()

    assert bodies.fields(nested(64), "")["value"]
    with pytest.raises(refusals.Refused, match="64 levels"):
        bodies.fields(nested(65), "")


def test_brackets_in_texts_are_no_levels() -> None:
    text = "[{" * 500 + '"\\'
    assert bodies.fields(json.dumps({"message": text}).encode(), "") == {"message": text}


@given(st.binary() | st.text().map(str.encode), st.sampled_from(["application/json", FORM, ""]))
def test_no_body_is_too_odd(body: bytes, kind: str) -> None:
    try:
        assert isinstance(bodies.fields(body, kind), dict)
    except refusals.Refused as refusal:
        assert 400 <= refusal.status < 500  # noqa: PT017 - anything may be refused, in words


@given(
    st.dictionaries(
        st.text(), st.none() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text() | st.booleans()
    )
)
def test_json_comes_as_it_was_sent(fields: dict[str, Any]) -> None:
    assert bodies.fields(json.dumps(fields).encode(), "") == fields
