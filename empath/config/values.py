"""
Readers of single values: each takes what TOML holds and gives the typed value, or refuses it.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import attrs

from empath.config.units import Duration, EndpointText, File, Folder, Rate, Secret, Size
from empath.policy.quantity import DURATION_UNITS, INTEGERS, LONGEST, SIZE_UNITS, read_amount, read_rate

_PORT: Final = re.compile(r"[0-9]{1,5}")
_LONGEST_EXPRESSION: Final = 1000


class Refused(ValueError):
    """
    A value cannot be used: `allowed` says what can, `found` what is there, where its plain text would mislead.
    """

    def __init__(self, allowed: str, found: str | None = None) -> None:
        super().__init__(allowed)
        self.allowed = allowed
        self.found = found


@attrs.frozen(slots=True)
class Surroundings:
    """
    What the machine adds to the text of a file.

    `folder` resolves relative paths. `environ` answers { env = "NAME" }. `hostname` tells the machine's FQDN.
    `parse_endpoint` raises for a text that is no Twisted server endpoint. `held` are paths of files that were read with
    rights which we have no more: they need not be readable now.
    """

    folder: Path
    environ: Mapping[str, str]
    hostname: Callable[[], str]
    parse_endpoint: Callable[[str], object]
    held: frozenset[str] = frozenset()


Reader = Callable[[object, Surroundings], object]


def shown(value: object) -> str:
    """
    Write a TOML value down for an error line: short, on one line, tables and arrays by their kind only.
    """
    match value:
        case dict():
            return "a table"
        case list():
            return "an array"
        case str():
            text = "".join(map(_visible, json.dumps(value, ensure_ascii=False)))
            return text if len(text) <= 80 else text[:77] + '…"'
        case int() if not -INTEGERS <= value < INTEGERS:
            return "an integer of more than 64 bits"
        case bool() | int() | float():
            return str(value).lower()
        case _:
            return f"a {type(value).__name__}"


def _visible(char: str) -> str:
    """
    Escape what would end the line or drive a terminal.
    """
    return char if char.isprintable() else ascii(char)[1:-1]


def boolean(value: object, _: Surroundings) -> bool:
    """
    Read true or false.
    """
    if not isinstance(value, bool):
        raise Refused("true or false")
    return value


def text(value: object, _: Surroundings) -> str:
    """
    Read any text on one line.
    """
    if not isinstance(value, str) or not (value.isprintable() or not value):
        raise Refused("a text without control characters")
    return value


def integer(low: int, high: int | None = None) -> Reader:
    """
    Make a reader of integers from `low` to `high` (None: no bound).
    """
    allowed = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"

    def read(value: object, _: Surroundings) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
            raise Refused(allowed)
        return value

    return read


def number(low: float, high: float) -> Reader:
    """
    Make a reader of numbers from `low` to `high`.
    """

    def read(value: object, _: Surroundings) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise Refused(f"a number from {low:g} to {high:g}")
        return float(value)

    return read


def one_of(choices: tuple[str | bool, ...]) -> Reader:
    """
    Make a reader of one of some words, or of true and false.
    """

    def read(value: object, _: Surroundings) -> str | bool:
        if not isinstance(value, (str, bool)) or value not in choices:
            raise Refused(" | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices))
        return value

    return read


def duration(low: float = 0.001) -> Reader:
    """
    Make a reader of durations in seconds, of at least `low`: "30s" "5m" "24h" "5d", or a number of seconds.
    """
    allowed = 'a duration such as "30s" "5m" "24h" "5d", or seconds'
    allowed += ", greater than 0" if low > 0 else ", 0 or more"

    def read(value: object, _: Surroundings) -> Duration:
        amount = read_amount(value, DURATION_UNITS)
        if amount is None or amount < low:
            raise Refused(allowed)
        if amount > LONGEST:
            raise Refused('a duration of at most "3650d"')
        return Duration(amount)

    return read


def size(low: int = 1) -> Reader:
    """
    Make a reader of sizes in bytes, of at least `low`: "64KiB" "25MB", or a number of bytes.
    """
    least = ", greater than 0" if low > 0 else ", 0 or more"

    def read(value: object, _: Surroundings) -> Size:
        amount = read_amount(value, SIZE_UNITS)
        if amount is None or amount != int(amount) or amount < low:
            raise Refused(f'a size such as "64KiB" "25MB" "1GiB", or bytes{least}')
        return Size(int(amount))

    return read


def folder(value: object, around: Surroundings) -> Folder:
    """
    Read a path; a relative one lies beside the configuration file. The result is absolute.
    """
    if not isinstance(value, str) or not value or not value.isprintable():
        raise Refused("a path")
    return Folder(str(around.folder / value))


def file(value: object, around: Surroundings) -> File:
    """
    Read the path of a file that can be read now; "" is none.
    """
    allowed = "the path of a file that can be read"
    if value == "":
        return File("")
    if not isinstance(value, str) or not value.isprintable():
        raise Refused(allowed)
    path = around.folder / value
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))  # a pipe nobody writes to would block
        if path.is_dir():
            raise Refused(f"{allowed}: it is a folder")
    except OSError as trouble:
        if not (isinstance(trouble, PermissionError) and str(path) in around.held):
            raise Refused(f"{allowed}: {_one_line(trouble)}") from trouble
    return File(str(path))


def rate(value: object, _: Surroundings) -> Rate:
    """
    Read "10/s", "100/min" or "5000/h"; 0 is no limit.
    """
    found = read_rate(value)
    if found is None:
        raise Refused('a rate such as "10/s", "100/min" or "5000/h", or 0 for no limit')
    return Rate(*found)


def expression(value: object, _: Surroundings) -> str:
    """
    Read a regular expression (Python's `re`) that looks for something: one that finds it everywhere is a slip.
    """
    allowed = 'a regular expression, such as "slow down"'
    if not isinstance(value, str) or not value.isprintable() or len(value) > _LONGEST_EXPRESSION:
        raise Refused(allowed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python only warns of means something else one day
            everywhere = re.compile(value).search("") is not None
    except (re.error, Warning, RecursionError, OverflowError) as trouble:
        raise Refused(f"{allowed} ({_one_line(trouble)})") from trouble
    if everywhere:
        raise Refused(f"{allowed}, that does not match every text")
    return value


def endpoint(value: object, around: Surroundings) -> EndpointText:
    """
    Read a Twisted server endpoint string, such as "tcp:25" or "tcp:1025:interface=127.0.0.1".
    """
    allowed = 'a Twisted server endpoint, such as "tcp:25" or "tcp:1025:interface=127.0.0.1"'
    if not isinstance(value, str) or not value.isprintable():
        raise Refused(allowed)
    kind, _, rest = value.partition(":")
    port = rest.partition(":")[0].removeprefix("port=")
    if kind in {"tcp", "tcp6", "ssl"} and not (_PORT.fullmatch(port) and int(port) <= 65535):
        raise Refused(f"{allowed}, with a port from 0 to 65535")
    try:
        around.parse_endpoint(value)
    except LookupError as trouble:
        if kind != "systemd":  # whether systemd hands a socket over is seen when it is to be listened on
            raise Refused(f"{allowed} ({_one_line(trouble)})") from trouble
    except Exception as trouble:  # endpoints are plugins: what theirs may raise is not ours to list
        raise Refused(f"{allowed} ({_one_line(trouble)})") from trouble
    return EndpointText(value)


def secret(value: object, around: Surroundings) -> Secret:
    """
    Read a secret: a text, { file = "/path" } or { env = "NAME" }. What is refused is never shown.

    A file's final line end does not belong to the secret.
    """
    allowed = 'a text, { file = "/path" } or { env = "NAME" }'
    match value:
        case str():
            found = value
        case {"file": str() as path, **rest} if path and path.isprintable() and not rest:
            found = _there(_file_text(around.folder / path), "file", path)
        case {"env": str() as name, **rest} if name and name.isprintable() and not rest:
            if name not in around.environ:
                raise Refused(f"{allowed}, and {name} is not set in the environment", f'{{ env = "{name}" }}')
            found = _there(around.environ[name], "env", name)
        case _:
            raise Refused(allowed, f"a {type(value).__name__}" if not isinstance(value, dict) else "a table")
    if not found.isprintable():
        raise Refused("a secret on one line, without control characters", "something else")
    return Secret(found)


def _there(found: str, key: str, where: str) -> str:
    """
    Refuse a secret that is empty where it is kept: who refers to it means to have one.
    """
    if not found:
        raise Refused("a secret", f"{{ {key} = {shown(where)} }}, which is empty")
    return found


def _file_text(path: Path) -> str:
    """
    Read a secret's file, without its final line end.
    """
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as trouble:
        raise Refused("a file that can be read as UTF-8", f"{path}: {_one_line(trouble)}") from trouble


def _one_line(trouble: Exception) -> str:
    """
    Say on one line what went wrong.
    """
    said = trouble.strerror if isinstance(trouble, OSError) and trouble.strerror else str(trouble)
    return " ".join(said.split()) or type(trouble).__name__
