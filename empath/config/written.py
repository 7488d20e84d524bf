"""
A configuration written down again, as TOML would have it: units as operators write them, secrets masked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any, Final, cast, get_args, get_type_hints

import attrs

from empath.config import schema
from empath.config.convert import joined, key_of
from empath.config.units import DAY, HOUR, MINUTE, Duration, Options, Rate, Secret, Size

MASK: Final = "********"
NOTHING: Final = ""  # how what is not there is written
_SUSPECT: Final = re.compile(r"pass|secret|token|key|credential|auth", re.IGNORECASE)
_SECRET_KEYS: Final = frozenset({(schema.Domain, "headers"), (schema.ControlToken, "sha256")})
_IN_URL: Final = re.compile(r"(?<=://)[^/@?\s]*(?=@)|(?<=\?)\S+")  # a login, a query: where URLs have secrets
_RATES: Final[Mapping[float, str]] = {1.0: "s", float(MINUTE): "min", float(HOUR): "h"}
_SIZES: Final = (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024))
_SPANS: Final = (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", 1))


@attrs.frozen(slots=True)
class Change:
    """
    A key whose value is another one, as TOML writes both; NOTHING where there is none.
    """

    key: str
    old: str
    new: str


def plain(section: Any) -> dict[str, Any]:
    """
    Give a section as nested tables of what TOML and JSON know; keys without a value are left out.
    """
    cls = type(section)
    kinds = get_type_hints(cls)
    found = {}
    for field in attrs.fields(cls):
        value = getattr(section, field.name)
        if value is not None:
            secret = (cls, field.name) in _SECRET_KEYS
            found[key_of(field.name)] = _masked(value) if secret else plain_value(value, kinds[field.name])
    return found


def plain_value(value: Any, kind: Any) -> Any:
    """
    Give a value of the schema's type `kind` as TOML and JSON have it.
    """
    if kind is Secret:
        return MASK if value else ""
    if kind is Options:
        return _options(value)
    if isinstance(value, str) and "://" in value:
        return _IN_URL.sub(MASK, value)
    if isinstance(value, Rate):
        return f"{value.count}/{_RATES.get(value.seconds, 's')}" if value.count else 0
    if attrs.has(type(value)):
        return plain(value)
    if isinstance(value, tuple):
        return [plain_value(each, get_args(kind)[0]) for each in value]
    if isinstance(value, dict):
        return {key: plain_value(each, get_args(kind)[1]) for key, each in value.items()}
    return _quantity(value, kind)


def changed(old: schema.Config, new: schema.Config) -> Iterator[Change]:
    """
    Tell every key whose value differs, arrays and single values as a whole. Secrets are masked: that one is another
    one is told, and nothing more.
    """
    yield from _changed(plain(old), plain(new), old, new, "")


def _changed(old: Any, new: Any, before: Any, after: Any, path: str) -> Iterator[Change]:
    """
    Compare what is written as `old` and `new`, and is `before` and `after`.
    """
    if before == after:
        return
    if isinstance(old, dict) and isinstance(new, dict) and not path.endswith(".options"):
        for key in [*old, *[each for each in new if each not in old]]:
            was, becomes = _of(before, key), _of(after, key)
            yield from _changed(old.get(key), new.get(key), was, becomes, joined(path, key))
    else:
        yield Change(path, toml_value(old), toml_value(new))


def _of(section: Any, key: str) -> Any:
    if isinstance(section, dict):
        return section.get(key)
    return getattr(section, key, None) if hasattr(section, key) else getattr(section, f"{key}_", None)


def toml_value(value: Any) -> str:
    """
    Write a value as TOML does, on one line.
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{joined('', key)} = {toml_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return str(value)


def toml_text(tables: Mapping[str, Any], path: str = "") -> str:
    """
    Write nested tables as a file of TOML.
    """
    simple = {key: value for key, value in tables.items() if not _is_table(value)}
    lines = [f"[{path}]"] if path and (simple or not tables) else []
    lines += [f"{joined('', key)} = {toml_value(value)}" for key, value in simple.items()]
    blocks = ["\n".join(lines) + "\n"] if lines else []
    for key, value in tables.items():
        where = joined(path, key)
        if isinstance(value, dict) and _is_table(value):
            blocks.append(toml_text(value, where))
        elif _is_table(value):
            blocks += [_item(each, where) for each in cast("list[dict[str, Any]]", value)]
    return "\n".join(blocks)


def _item(table: Mapping[str, Any], path: str) -> str:
    """
    Write one item of an array of tables; what lies below it stands in it.
    """
    lines = [f"{joined('', key)} = {toml_value(value)}" for key, value in table.items()]
    return "\n".join([f"[[{path}]]", *lines]) + "\n"


def _is_table(value: Any) -> bool:
    if isinstance(value, dict):
        return True
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _quantity(value: Any, kind: Any) -> Any:
    """
    Write an amount with the largest unit that leaves nothing over.
    """
    kinds = {kind, *get_args(kind)}
    if Duration in kinds:
        number = int(value)
        unit = next(((name, span) for name, span in _SPANS if number % span == 0), None)
        return value if number != value else f"{number // unit[1]}{unit[0]}" if unit and number else 0
    if Size in kinds and value:
        return next((f"{value // size}{name}" for name, size in _SIZES if value % size == 0), value)
    return value


def _options(value: Any, key: str = "") -> Any:
    """
    Give what stands in a table for someone else, with what may be a secret masked, as only its key can tell.
    """
    if isinstance(value, dict):
        return {name: _options(each, name) for name, each in value.items()}
    if key and _SUSPECT.search(key):
        return _masked(value)
    if isinstance(value, list):
        return [_options(each) for each in value]
    if isinstance(value, str) and "://" in value:
        return _IN_URL.sub(MASK, value)
    return value.isoformat() if isinstance(value, datetime | date | time) else value


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return dict.fromkeys(value, MASK)
    return MASK if value else value
