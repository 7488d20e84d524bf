"""
All that an object reaches, as values by their places: two objects that behave alike have the same.
"""

from __future__ import annotations

import enum
import functools
import re
import types
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

VALUES: Final = (str, int, float, bool, bytes, type(None), enum.Enum, re.Pattern, frozenset)
OPAQUE: Final = ("empath.testing", "random", "threading", "_thread", "twisted.logger", "twisted.python", "zope")

Parts = Iterator[tuple[str, Any]]


def reachable(root: object) -> dict[str, str]:
    """
    Tell every value below `root`, by its place: through attributes, containers, and what functions enclose.
    """
    found: dict[str, str] = {}
    seen: dict[int, object] = {}
    todo: deque[tuple[str, Any]] = deque([("", root)])
    while todo:
        place, thing = todo.popleft()
        if isinstance(thing, VALUES) or type(thing).__module__.startswith("empath.config.schema"):
            found[place] = repr(sorted(map(repr, thing)) if isinstance(thing, frozenset) else thing)
        elif id(thing) not in seen and not _opaque(thing):
            seen[id(thing)] = thing
            found[place] = getattr(thing, "__qualname__", type(thing).__name__)
            todo.extend((f"{place}{name}", part) for name, part in _parts(thing))
    return found


def _opaque(thing: object) -> bool:
    modules = isinstance(thing, (types.ModuleType, type, types.BuiltinFunctionType))
    return modules or type(thing).__module__.startswith(OPAQUE)


def _parts(thing: Any) -> Parts:
    match thing:
        case types.MethodType():
            yield ".self", thing.__self__
            yield ".function", thing.__func__
        case types.FunctionType():
            yield from _enclosed(thing)
        case functools.partial():
            yield ".function", thing.func
            yield from ((f"({at})", each) for at, each in enumerate(thing.args))
            yield from ((f"({name})", each) for name, each in thing.keywords.items())
        case dict() | types.MappingProxyType():
            yield from ((f"[{key!r}]" if isinstance(key, VALUES) else "[]", thing[key]) for key in thing)
        case list() | tuple() | deque():
            yield from ((f"[{at}]", each) for at, each in enumerate(thing))
        case _:
            yield from _attributes(thing)


def _enclosed(function: types.FunctionType) -> Parts:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield f"<{name}>", cell.cell_contents


def _attributes(thing: Any) -> Parts:
    for cls in type(thing).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__weakref__", "__dict__") and hasattr(thing, name):
                yield f".{name}", getattr(thing, name)
    for name, part in getattr(thing, "__dict__", {}).items():
        yield f".{name}", part
