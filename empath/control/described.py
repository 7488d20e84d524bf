"""
All that can be asked and answered, as one JSON Schema: docs/control.schema.json is made by it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final, get_args, get_type_hints

import attrs
import msgspec

from empath.control import terms
from empath.control.protocol import VERSION
from empath.control.terms.asking import Ask, Follow

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def requests() -> dict[str, type[Ask[Any]]]:
    """
    Find every request, by its verb.
    """
    found = {kind.verb: kind for kind in _kinds() if issubclass(kind, Ask) and "verb" in vars(kind)}
    return dict(sorted(found.items()))


def schema() -> dict[str, Any]:
    """
    Describe each verb's request, answer and pieces; `$defs` has the classes by their names.
    """
    verbs = requests()
    kinds = [kind for verb in verbs.values() for kind in (verb, verb.answer, *_pieces(verb))]
    _, found = msgspec.json.schema_components(kinds, schema_hook=_anything)
    for kind in _kinds():
        if kind.__name__ in found:
            _complete(found[kind.__name__], kind)
    return {
        "$schema": DIALECT,
        "title": "What can be asked of a running empath, and what it answers",
        "version": VERSION,
        "verbs": {name: _verb(kind) for name, kind in verbs.items()},
        "$defs": dict(sorted(found.items())),
    }


def _verb(kind: type[Ask[Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {"description": _summary(kind), "changes": kind.changes}
    told |= {"request": _reference(kind), "answer": _reference(kind.answer)}
    return told | ({"piece": _reference(kind.piece)} if issubclass(kind, Follow) else {})


def _pieces(kind: type[Ask[Any]]) -> list[type]:
    return [kind.piece] if issubclass(kind, Follow) else []


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _summary(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").split())


def _anything(kind: type) -> dict[str, Any]:
    if kind is not object:
        raise NotImplementedError
    return {"description": "any value"}


def _complete(described: dict[str, Any], kind: type) -> None:
    """
    Add what msgspec does not tell: that times are times; and write descriptions in one line.
    """
    described["description"] = _summary(kind)
    for name, hint in get_type_hints(kind).items():
        if hint is datetime:
            described["properties"][name]["format"] = "date-time"
        elif datetime in get_args(hint):
            described["properties"][name]["anyOf"][0]["format"] = "date-time"


def _kinds() -> Iterator[type]:
    """
    Give all classes of the vocabulary.
    """
    for module in iter_modules(terms.__path__, f"{terms.__name__}."):
        loaded = import_module(module.name)
        for kind in vars(loaded).values():
            if inspect.isclass(kind) and attrs.has(kind) and kind.__module__ == module.name:
                yield kind
