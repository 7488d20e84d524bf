"""
The JSON Schema (draft 2020-12) of the configuration, for editors and checkers of TOML.

It allows all that empath does, and less strictly: what a value needs of others, and of the machine, only empath tells.
"""

from __future__ import annotations

import json
import types
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from empath.config.convert import key_of
from empath.config.rules import BY_NAME, Each, Keyed, Leaf, Section, shape_of
from empath.config.schema import Config
from empath.config.units import Duration, EndpointText, File, Folder, Options, Rate, Secret, Size
from empath.config.written import plain_value

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
DESCRIPTIONS: Final = "descriptions.json"  # made from docs/configuration.md
_UNITS: Final[dict[object, dict[str, Any]]] = {
    Duration: {
        "description": 'A duration: "30s" "5m" "24h" "5d", or a number of seconds.',
        "anyOf": [
            {"type": "number", "minimum": 0},
            {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)? ?[smhd]\s*$"},
        ],
    },
    Size: {
        "description": 'A size: "64KiB" "25MB" "1GiB", or a number of bytes.',
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)? ?([KMG]i?)?B\s*$"},
        ],
    },
    Rate: {
        "description": 'A rate: "10/s" "100/min" "5000/h", or 0 for no limit.',
        "anyOf": [{"const": 0}, {"type": "string", "pattern": "^[0-9]+/(s|min|h)$"}],
    },
    Secret: {
        "description": 'A secret: a text, { file = "/path" } or { env = "NAME" }.',
        "anyOf": [
            {"type": "string"},
            {"type": "object", "properties": {"file": {"type": "string"}}, "required": ["file"], "maxProperties": 1},
            {"type": "object", "properties": {"env": {"type": "string"}}, "required": ["env"], "maxProperties": 1},
        ],
    },
    Folder: {"description": "A path; a relative one is resolved against the file's folder.", "type": "string"},
    File: {"description": 'The path of a file that can be read; "" for none.', "type": "string"},
    EndpointText: {"description": "A Twisted server endpoint string.", "type": "string"},
    Options: {"type": "object"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": 1},
    float: {"type": "number"},
    str: {"type": "string"},
}


def json_schema() -> dict[str, Any]:
    """
    Give the schema of the whole file.
    """
    title = {"$schema": DIALECT, "title": "empath.toml", "description": "The configuration of empath."}
    return {**title, **_table(Config, "")}


@cache
def descriptions() -> dict[str, str]:
    """
    Tell by path, arrays and tables of the operator's keys without their marks, what a key is for.
    """
    text = files("empath.config").joinpath(DESCRIPTIONS).read_text("utf-8")
    found: dict[str, str] = json.loads(text)
    return found


def _table(cls: type, path: str) -> dict[str, Any]:
    """
    Describe a table whose keys are the attributes of a class.
    """
    kinds = get_type_hints(cls)
    keys = {}
    for field in attrs.fields(cls):
        key = key_of(field.name)
        where = f"{path}.{key}" if path else key
        keys[key] = _key(cls, field, kinds[field.name], where)
    return {"type": "object", "properties": keys, "additionalProperties": False}


def _key(cls: type, field: Any, kind: Any, path: str) -> dict[str, Any]:
    """
    Describe a key: what it takes, what it is for, and what it is where it is not given.
    """
    shape = shape_of(cls, field.name, kind)
    found = _shape(shape, kind, path)
    said = [descriptions().get(path, ""), found.pop("description", "")]
    described = {"description": " ".join(filter(None, said))} if any(said) else {}
    if field.default is attrs.NOTHING or isinstance(shape, Section):
        return {**described, **found}
    default = field.default.factory() if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]  # a function to mypy
    if default is None:
        return {**described, **found}
    return {**described, **found, "default": plain_value(default, kind)}


def _shape(shape: Any, kind: Any, path: str) -> dict[str, Any]:
    match shape:
        case Section():
            return _table(shape.cls, path)
        case Each():
            items: dict[str, Any] = {"type": "array", "items": _shape(shape.item, _inner(kind, 0), path)}
            if not shape.empty:
                items["minItems"] = 1
            return {"anyOf": [items, items["items"]]} if shape.alone else items
        case Keyed():
            inner = _inner(kind, 1)
            return {"type": "object", "additionalProperties": _shape(shape.item, inner, f"{path}.*")}
        case Leaf():
            return _leaf(kind, shape in BY_NAME.values())
    raise TypeError(f"no schema for {shape}")


def _inner(kind: Any, at: int) -> Any:
    """
    Tell the type of the items of an array, or of the values of a table.
    """
    return get_args(kind)[at] if get_args(kind) else str


def _leaf(kind: Any, own_reader: bool) -> dict[str, Any]:
    """
    Describe a single value. A reader of its own may take numbers, and texts, that others do not.
    """
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(each for each in get_args(kind) if each is not type(None))
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    found = dict(_UNITS[kind])
    if kind is int and own_reader:
        del found["minimum"]
    return found
