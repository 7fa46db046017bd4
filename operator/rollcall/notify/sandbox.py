"""What a template may do: a closed list, so that its work is bounded by its own length.

It shows and compares what it is given, and walks over lists of it. It calls, assigns and computes
nothing, no loop is within another, and it sees fields of mappings and lists, never an attribute.
"""

from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any

import jinja2
from jinja2 import meta, nodes, runtime, sandbox
from typing_extensions import override

LONGEST_JOINED = 10_000  # characters
MOST_ITEMS = 100  # that a loop takes
MOST_FILTERS = 50  # of a template
LOOP = frozenset({"index", "index0", "first", "last", "length"})
_ALLOWED = (
    nodes.And,
    nodes.Compare,
    nodes.CondExpr,
    nodes.Const,
    nodes.Filter,
    nodes.For,
    nodes.Getattr,
    nodes.Getitem,
    nodes.If,
    nodes.Keyword,
    nodes.List,
    nodes.Name,
    nodes.Neg,
    nodes.Not,
    nodes.Operand,
    nodes.Or,
    nodes.Output,
    nodes.Slice,
    nodes.TemplateData,
    nodes.Tuple,
)


def read(source: str) -> tuple[jinja2.Template, frozenset[str]]:
    """Compile a template, and return which names it asks for.

    Raises jinja2.TemplateSyntaxError, and what Python's compiler raises beyond its limits.
    """
    tree = _ENVIRONMENT.parse(source)
    _check(tree)
    return _ENVIRONMENT.from_string(tree), frozenset(meta.find_undeclared_variables(tree))


def _check(tree: nodes.Template) -> None:
    """Refuse what is not on the list, and let loops walk over short lists only.

    Raises jinja2.TemplateSyntaxError.
    """
    used = list(tree.find_all(nodes.Filter))
    for one in used:
        if one.name not in FILTERS:
            known = ", ".join(FILTERS)
            raise jinja2.TemplateSyntaxError(f"no filter {one.name}, but {known}", one.lineno)
    if len(used) > MOST_FILTERS:
        raise jinja2.TemplateSyntaxError(f"more than {MOST_FILTERS} filters", used[-1].lineno)
    _check_below(tree, in_loop=False)


def _check_below(node: nodes.Node, *, in_loop: bool) -> None:
    for child in node.iter_child_nodes():
        if not isinstance(child, _ALLOWED):
            what = type(child).__name__.lower()
            why = f"{what} is nothing that a template may do: it shows, compares and loops"
            raise jinja2.TemplateSyntaxError(why, child.lineno or 1)
        is_loop = isinstance(child, nodes.For)
        if is_loop and in_loop:
            raise jinja2.TemplateSyntaxError("a loop within a loop", child.lineno)
        _check_below(child, in_loop=in_loop or is_loop)
        if isinstance(child, nodes.For):
            child.iter = nodes.Filter(child.iter, _LISTED, [], [], None, None, lineno=child.lineno)


class _Environment(sandbox.ImmutableSandboxedEnvironment):
    """Finds fields of mappings and lists, and nothing by the name of an attribute."""

    @override
    def getitem(self, obj: Any, argument: Any) -> Any:
        if obj is None:
            return None
        if isinstance(obj, runtime.LoopContext):
            known: Sequence[str] = sorted(LOOP)
            if argument in LOOP:
                return getattr(obj, argument)
        else:
            known = [*obj] if isinstance(obj, Mapping) else []
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        hint = f"there is no {argument!r}" + (f", but {', '.join(known)}" if known else "")
        return self.undefined(hint)

    @override
    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)


def _text(value: object) -> str | None:
    """Return the text of what is one: to write down a whole list or mapping helps nobody."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple | Mapping):
        raise TypeError("this is no text: name a field of it, or loop over it")
    return str(value)


def _listed(value: object) -> list[Any]:
    """Return the first items; a text is no list, however well one could loop over it."""
    if value is not None and not isinstance(value, list | tuple):
        raise TypeError("a loop takes a list, or the items of a mapping, as in `facts | items`")
    return [*(value or ())][:MOST_ITEMS]


def _joined(value: object, separator: str = "") -> str:
    """Join a list; cut, since what is joined can be joined again."""
    texts = [_text(item) or "" for item in _listed(value)]
    return _cut(separator.join(texts), LONGEST_JOINED)


def _items(value: object) -> list[tuple[Any, Any]]:
    if value is not None and not isinstance(value, Mapping):
        raise TypeError("items takes a mapping, such as facts")
    return [*(value or {}).items()]


def _default(value: object, other: object = "") -> object:
    return other if value is None or isinstance(value, jinja2.Undefined) else value


def _length(value: Sized | None) -> int:
    return 0 if value is None else len(value)


def _truncate(value: object, length: int = 255) -> str | None:
    text = _text(value)
    return None if text is None else _cut(text, max(1, length))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _of_text(change: Callable[[str], str]) -> Callable[[object], str | None]:
    def apply(value: object) -> str | None:
        text = _text(value)
        return None if text is None else change(text)

    return apply


# None makes a text longer by more than what the template itself has. Of null comes null.
FILTERS: Mapping[str, Any] = {
    "default": _default,
    "items": _items,
    "join": _joined,
    "length": _length,
    "lower": _of_text(str.lower),
    "trim": _of_text(str.strip),
    "truncate": _truncate,
    "upper": _of_text(str.upper),
}
_LISTED = "_listed"  # our own, around what a loop walks over


def _environment() -> _Environment:
    environment = _Environment(
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: _text(value) or "",
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.clear()
    environment.filters = {**FILTERS, _LISTED: _listed}
    return environment


_ENVIRONMENT = _environment()
