"""
From TOML's tables to the frozen classes of the schema, with every fault at once.

A value that cannot be used is reported and its default stands in for it, so that the rest is looked at as well; what
comes out may only be used when nothing was reported.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar, assert_never, get_type_hints

import attrs

from empath.config import schema
from empath.config.rules import Each, Keyed, Leaf, Section, Shape, shape_of
from empath.config.values import Refused, Surroundings, shown

T = TypeVar("T")
_MISSING: Final = object()


@attrs.frozen(slots=True)
class Problem:
    """
    One fault: the key's path and what is wrong there; `because` names the other paths that it rests on.
    """

    path: str
    said: str
    because: tuple[str, ...] = ()

    def line(self, source: str) -> str:
        """
        Write it on one line, as the operator reads it.
        """
        return f"{source}: {self.path}: {self.said}"


def unusable(path: str, found: str, allowed: str, because: tuple[str, ...] = ()) -> Problem:
    """
    Make the problem of a value: what was found, and what is allowed.
    """
    return Problem(path, f"found {found}; allowed: {allowed}", because)


@attrs.define(slots=True)
class Conversion:
    """
    One reading of a file; `problems` fills up as it goes.
    """

    around: Surroundings
    problems: list[Problem] = attrs.field(factory=list)

    def table(self, cls: type[T], raw: Mapping[str, object], path: str = "") -> T:
        """
        Read a table into a class; what is missing has its default, or is "" where there is none.
        """
        shapes = _shapes(cls)
        given: dict[str, Any] = dict.fromkeys(_without_default(cls), "")
        for key, value in raw.items():
            where = joined(path, key)
            if key not in shapes:
                self.problems.append(Problem(where, f"unknown key; {_suggestion(key, tuple(shapes))}"))
                continue
            attribute, shape = shapes[key]
            found = self._read(shape, value, where)
            if found is not _MISSING:
                given[attribute] = found
        return cls(**given)

    def _read(self, shape: Shape, value: object, path: str) -> Any:
        """
        Read one value, or report it and give _MISSING.
        """
        match shape:
            case Leaf():
                return self._leaf(shape, value, path)
            case Each():
                return self._array(shape, value, path)
            case Keyed():
                return self._keyed(shape, value, path)
            case Section():
                if not isinstance(value, dict):
                    return self._refuse(path, value, "a table")
                return self.table(shape.cls, value, path)
            case _:
                assert_never(shape)

    def _leaf(self, shape: Leaf, value: object, path: str) -> Any:
        """
        Read a single value.
        """
        try:
            return shape.read(value, self.around)
        except Refused as trouble:
            return self._refuse(path, value, trouble.allowed, trouble.found)

    def _array(self, shape: Each, value: object, path: str) -> Any:
        """
        Read an array; items that cannot be used are left out.
        """
        if shape.alone and isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            return self._refuse(path, value, "an array" + (", or a text" if shape.alone else ""))
        if not value and not shape.empty:
            return self._refuse(path, value, "at least one", "an empty array")
        found = [self._read(shape.item, item, f"{path}[{at}]") for at, item in enumerate(value)]
        return tuple(item for item in found if item is not _MISSING)

    def _keyed(self, shape: Keyed, value: object, path: str) -> Any:
        """
        Read a table of the operator's own keys; no two may mean the same.
        """
        if not isinstance(value, dict):
            return self._refuse(path, value, "a table")
        found: dict[object, object] = {}
        for written, item in value.items():
            where = joined(path, written)
            key = self._leaf(Leaf(shape.key), written, where)
            if key in found:
                self._refuse(where, written, "each of its keys once, however it is written")
            elif key is not _MISSING and (read := self._read(shape.item, item, where)) is not _MISSING:
                found[key] = read
        return found

    def _refuse(self, path: str, value: object, allowed: str, found: str | None = None) -> object:
        """
        Report a value.
        """
        self.problems.append(unusable(path, found or shown(value), allowed))
        return _MISSING


def key_of(attribute: str) -> str:
    """
    Tell the key of an attribute: one that Python keeps to itself has an underscore behind it.
    """
    return attribute.removesuffix("_")


def _shapes(cls: type) -> dict[str, tuple[str, Shape]]:
    """
    Tell the attribute, and how it is read, of each key of a table.
    """
    return {key_of(name): (name, shape_of(cls, name, kind)) for name, kind in get_type_hints(cls).items()}


def _without_default(cls: type) -> list[str]:
    """
    Name the attributes of `cls` that have no default.
    """
    return [attribute.name for attribute in attrs.fields(cls) if attribute.default is attrs.NOTHING]


def joined(path: str, name: str) -> str:
    """
    Put a key behind its path, in quotes where TOML needs them.
    """
    bare = name and all(char.isascii() and (char.isalnum() or char in "-_") for char in name)
    return ".".join(filter(None, (path, name if bare else shown(name))))


def _suggestion(name: str, known: tuple[str, ...]) -> str:
    """
    Name the known key nearest to an unknown one, the place of one of that very name, or all that stand here.
    """
    if near := difflib.get_close_matches(name, known, n=1, cutoff=0.7):
        return f"did you mean {near[0]}?"
    if elsewhere := [path for path in key_paths(schema.Config) if path.rpartition(".")[2] == name]:
        return f"did you mean {' or '.join(elsewhere[:3])}?"
    return f"allowed: {', '.join(known)}"


def key_paths(cls: type, prefix: str = "") -> Iterator[str]:
    """
    Tell the path of every key of the schema, arrays and tables of the operator's keys written as `name[]` and `name.*`.
    """
    for key, (_, shape) in _shapes(cls).items():
        yield from _paths_below(shape, f"{prefix}{key}")


def _paths_below(shape: Shape, path: str) -> Iterator[str]:
    """
    Tell the paths that a shape stands for.
    """
    match shape:
        case Section():
            yield from key_paths(shape.cls, f"{path}.")
        case Each(item=Section() as section):
            yield from key_paths(section.cls, f"{path}[].")
        case Keyed(item=Section() as section):
            yield from key_paths(section.cls, f"{path}.*.")
        case _:
            yield path
