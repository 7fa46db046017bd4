"""What a template may do, and what it costs whatever it says."""

import contextlib
import time
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollcall.notify import sandbox

FIELDS: dict[str, Any] = {
    "name": "backup",
    "none": None,
    "many": list(range(1000)),
    "few": [{"a": 1}, {"a": 2}],
    "map": {"a": 1, "items": 2},
    "text": "x" * 4000,
}
EXPRESSIONS = (
    "name", "none", "many", "few", "map", "text", "few[0].a", "map.items", "'a'", "3", "[name, 1]",
    "loop", "self", "odd", "()", "-3", "text[1:2]", "many|length", "text|upper", "map|items",
    "few|join", "none|default(1)", "text|truncate", "name and none", "not name", "1 < 2",
    "1 in many", "name if none else 1", "name.__class__", "name.upper()", "1 + 1", "range(9)",
    "name is defined",
)  # fmt: skip
STATEMENTS = (
    "{{%s}}", "{%% if %s %%}a{%% endif %%}", "{%% for x in %s %%}{{x}}{%% endfor %%}",
    "{%% set x = %s %%}", "{{%s|nope}}", "{{%s", "%s", "{%% for x in few %%}{{ %s }}{%% endfor %%}",
)  # fmt: skip


def write(source: str, **fields: object) -> str:
    template, _ = sandbox.read(source)
    return template.render({**FIELDS, **fields})


@pytest.mark.parametrize(
    ("source", "written"),
    [
        pytest.param("{{ name }} {{ few[1].a }} {{ map['a'] }}", "backup 2 1", id="fields"),
        pytest.param("{{ map.items }}", "2", id="a-field-and-not-the-method-of-its-name"),
        pytest.param("<{{ none }}{{ none.a.b }}>", "<>", id="null"),
        pytest.param("{{ name[:3] }}{{ name[-1] }}{{ name[-2:] }}", "bacpup", id="slices"),
        pytest.param("{% if name == 'a' or 'ack' in name %}y{% else %}n{% endif %}", "y", id="if"),
        pytest.param("{{ 'a' if none else 'b' }}{{ none or 'c' }}", "bc", id="choices"),
        pytest.param("{{ name in ['backup', 'x'] }}", "True", id="list"),
        pytest.param("{% for x in few if x.a > 1 %}{{ x.a }}{% endfor %}", "2", id="filtered-loop"),
        pytest.param("{% for x in none %}a{% else %}b{% endfor %}", "b", id="loop-over-null"),
        pytest.param("{% for x in ('a', 'b') %}{{ x }}{% endfor %}", "ab", id="loop-over-tuple"),
        pytest.param(
            "{% for k, v in map|items %}{{ loop.index }}{{ k }}{{ ',' if not loop.last }}"
            "{% endfor %}{% for x in few %}{{ loop.length }}{% endfor %}",
            "1a,2items22",
            id="loop-over-items",
        ),
        pytest.param("{{ [1, none, 'a']|join('-') }}", "1--a", id="join"),
        pytest.param("{{ text|truncate(5) }}{{ text|truncate(0) }}", "xxxx……", id="truncate"),
        pytest.param("{{ ' A b '|trim|lower }}{{ name|upper }}", "a bBACKUP", id="letters"),
        pytest.param("{{ few|length }}{{ none|length }}", "20", id="length"),
        pytest.param(
            "{{ none|default('x') }}{{ odd|default('y') }}{{ 0|default }}", "xy0", id="or"
        ),
        pytest.param(
            "<{{ none|upper }}{{ none|truncate }}{{ none|join }}{{ none|items|length }}>",
            "<0>",
            id="filters-of-null",
        ),
        pytest.param("a\n{% if 1 %}\nb\n{% endif %}\nc", "a\nb\nc", id="lines-of-statements"),
        pytest.param("{% raw %}{{ x }}{% endraw %}{# not shown #}", "{{ x }}", id="raw"),
        pytest.param("{{ '<b>&' }}", "<b>&", id="as-it-is-since-channels-escape"),
    ],
)
def test_it_shows_compares_and_loops(source: str, written: str) -> None:
    assert write(source) == written


def test_it_is_known_which_names_a_template_asks_for() -> None:
    _, names = sandbox.read("{% for a in few %}{{ a.b }}{{ c }}{% endfor %}{{ d if e }}")
    assert names == {"few", "c", "d", "e"}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param("{{ range(10) }}", "call is nothing that", id="call"),
        pytest.param("{{ name.upper() }}", "call is nothing that", id="method"),
        pytest.param("{{ 'a' * 1000000000 }}", "mul is nothing that", id="multiplication"),
        pytest.param("{{ 9 ** 999999 }}", "pow is nothing that", id="power"),
        pytest.param("{{ 1 / 0 }}", "div is nothing that", id="division"),
        pytest.param("{{ text + text }}", "add is nothing that", id="addition"),
        pytest.param("{{ text ~ text }}", "concat is nothing that", id="concatenation"),
        pytest.param("{% set a = 1 %}", "assign is nothing that", id="assignment"),
        pytest.param("{% set a %}b{% endset %}", "assignblock is", id="assigned-block"),
        pytest.param("{% macro a() %}{% endmacro %}", "macro is nothing that", id="macro"),
        pytest.param("{% include 'a' %}", "include is nothing that", id="include"),
        pytest.param("{% import 'a' as b %}", "import is nothing that", id="import"),
        pytest.param("{% extends 'a' %}", "extends is nothing that", id="extends"),
        pytest.param("{% block a %}{% endblock %}", "block is nothing that", id="block"),
        pytest.param("{% filter upper %}{% endfilter %}", "filterblock is", id="filter-block"),
        pytest.param("{% with a = 1 %}{% endwith %}", "with is nothing that", id="with"),
        pytest.param("{{ name is defined }}", "test is nothing that", id="test"),
        pytest.param("{{ {'a': 1} }}", "dict is nothing that", id="mapping"),
        pytest.param("{% do 1 %}", "unknown tag 'do'", id="unknown-tag"),
        pytest.param(
            "{{ text|replace('x', text) }}", "no filter replace, but default", id="filter"
        ),
        pytest.param(
            "{% if 0 %}{{ 1|attr('a') }}{% endif %}", "no filter attr", id="unused-filter"
        ),
        pytest.param(
            "{% for a in few %}{% if 1 %}{% for b in few %}{% endfor %}{% endif %}{% endfor %}",
            "a loop within a loop",
            id="nested-loops",
        ),
        pytest.param("{{ name" + "|upper" * 51 + " }}", "more than 50 filters", id="many-filters"),
        pytest.param("{{ name", "unexpected end of template", id="unclosed"),
        pytest.param("{% if name %}", "Unexpected end of template", id="unended"),
        pytest.param("{% for loop in few %}{% endfor %}", "Can't assign", id="loop-variable"),
    ],
)
def test_anything_else_is_refused_before_it_is_compiled(source: str, words: str) -> None:
    with pytest.raises(jinja2.TemplateSyntaxError, match=words) as refused:
        sandbox.read(f"one\ntwo {source}")
    assert refused.value.lineno == 2


def test_nobody_turns_escaping_on() -> None:
    with pytest.raises(jinja2.TemplateSyntaxError, match="nothing that a template may do"):
        sandbox.read("{% autoescape true %}{{ name }}{% endautoescape %}")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param("{{ nam }}", "'nam' is undefined", id="unknown-name"),
        pytest.param("{% if nam %}{% endif %}", "'nam' is undefined", id="unknown-condition"),
        pytest.param("{{ few[0].b }}", "there is no 'b', but a", id="unknown-field"),
        pytest.param("{{ few[5] }}", "there is no 5", id="beyond-the-end"),
        pytest.param(
            "{{ map.b.c }}", "there is no 'b', but a, items", id="within-an-unknown-field"
        ),
        pytest.param("{{ name.__class__ }}", "no '__class__'", id="attribute"),
        pytest.param("{{ name['__class__'] }}", "no '__class__'", id="attribute-by-item"),
        pytest.param("{{ few.append }}", "no 'append'", id="method"),
        pytest.param("{{ self.__init__ }}", "no '__init__'", id="jinja-itself"),
        pytest.param("{% for a in few %}{{ loop.cycle }}{% endfor %}", "no 'cycle'", id="loop"),
        pytest.param("{% for a in few %}{{ loop._context }}{% endfor %}", "_context", id="private"),
        pytest.param("{% for a in text %}{% endfor %}", "a loop takes a list", id="loop-over-text"),
        pytest.param("{% for a in map %}{% endfor %}", "a loop takes a list", id="loop-over-map"),
        pytest.param("{{ text|join }}", "a loop takes a list", id="join-of-text"),
        pytest.param("{{ few|items }}", "items takes a mapping", id="items-of-list"),
        pytest.param("{{ few }}", "this is no text", id="list-as-text"),
        pytest.param("{{ map }}", "this is no text", id="map-as-text"),
        pytest.param("{{ few|upper }}", "this is no text", id="letters-of-list"),
        pytest.param("{{ few|join }}", "this is no text", id="join-of-maps"),
        pytest.param("{{ text < 1 }}", "not supported between", id="comparison"),
        pytest.param("{{ range }}{{ lipsum }}", "'range' is undefined", id="globals"),
    ],
)
def test_what_does_not_exist_is_an_error(source: str, words: str) -> None:
    with pytest.raises((jinja2.UndefinedError, TypeError), match=words):
        write(source)


def test_a_loop_ends_after_a_hundred_items() -> None:
    assert write("{% for x in many %}{{ loop.length }} {% endfor %}") == "100 " * 100


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}", id="parentheses"),
        pytest.param("{{ " + "not " * 1000 + "1 }}", id="negations"),
        pytest.param("{% if 1 %}" * 180 + "{% endif %}" * 180, id="ifs"),
        pytest.param("{{ " + "[" * 2000 + "]" * 2000 + " }}", id="lists"),
    ],
)
def test_what_is_too_deep_is_an_error_and_no_end_of_the_process(source: str) -> None:
    with pytest.raises((RecursionError, SyntaxError, MemoryError)):
        sandbox.read(source)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            "{% for a in many %}{% if text" + "|upper|lower" * 25 + " %}{% endif %}{% endfor %}",
            id="filters-in-a-loop",
        ),
        pytest.param(
            "{% for a in many %}{% if [" + "text," * 700 + "]|join %}{% endif %}{% endfor %}",
            id="joins-in-a-loop",
        ),
        pytest.param(
            "{% for a in many %}{% if many|join %}{% endif %}{% endfor %}" * 50, id="loops-in-a-row"
        ),
        pytest.param(
            "{{ many|join(" + "[1,1,1,1,1,1]|join(" * 40 + "text" + ")" * 41 + " }}",
            id="joins-of-joins",
        ),
    ],
)
def test_the_worst_that_can_be_written_is_done_soon_and_short(source: str) -> None:
    assert len(source) <= 4096
    template, _ = sandbox.read(source)
    started = time.process_time()
    assert len(template.render(FIELDS)) <= 10_000
    assert time.process_time() - started < 2


@given(st.lists(st.tuples(st.sampled_from(STATEMENTS), st.sampled_from(EXPRESSIONS)), max_size=4))
def test_any_template_is_written_or_refused(parts: list[tuple[str, str]]) -> None:
    source = "".join(statement % expression for statement, expression in parts)
    with contextlib.suppress(jinja2.TemplateError, TypeError):
        assert len(write(source)) <= 200_000
