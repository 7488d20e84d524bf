"""
Readers of a module's options: each takes what TOML holds and gives the value for use, or raises ValueError saying what
is allowed. `key` names the option in that text.

They accept the spellings of the configuration file: durations "30s" "5m" "24h" "5d", sizes "64KiB" "25MB", rates
"10/s" "100/min" "5000/h".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from empath.config.units import Rate
from empath.mail.address import Address
from empath.mail.reply import Reply
from empath.policy.patterns import AddressTable, DomainTable, NameTable, NetworkTable, Table
from empath.policy.quantity import DURATION_UNITS, LONGEST, SIZE_UNITS, read_amount, read_rate

__all__ = (
    "Rate",
    "addresses",
    "choice",
    "domains",
    "duration",
    "flag",
    "integer",
    "names",
    "networks",
    "rate",
    "reply",
    "size",
    "text",
    "texts",
)

_SHOWN: Final = 60  # characters of a wrong value that are repeated


def duration(value: object, key: str = "", low: float = 0.001) -> float:
    """
    Read a time in seconds, of at least `low` and at most ten years.
    """
    amount = read_amount(value, DURATION_UNITS)
    if amount is None or not low <= amount <= LONGEST:
        least = "greater than 0" if low > 0 else "0 or more"
        raise _wrong(key, f'a duration such as "30s" "5m" "24h" "5d", or seconds, {least}, at most "3650d"', value)
    return amount


def size(value: object, key: str = "", low: int = 1) -> int:
    """
    Read a size in bytes, of at least `low`.
    """
    amount = read_amount(value, SIZE_UNITS)
    if amount is None or amount != int(amount) or amount < low:
        raise _wrong(key, f'a size such as "64KiB" "25MB", or bytes, {low} or more', value)
    return int(amount)


def rate(value: object, key: str = "") -> Rate:
    """
    Read so many in so much time; 0 is no limit (`Rate.count` is 0).
    """
    found = read_rate(value)
    if found is None:
        raise _wrong(key, 'a rate such as "10/s", "100/min" or "5000/h", or 0 for no limit', value)
    return Rate(*found)


def integer(value: object, key: str = "", low: int = 0, high: int | None = None) -> int:
    """
    Read a whole number from `low` to `high` (None: no bound).
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
        bounds = f"{low} or more" if high is None else f"from {low} to {high}"
        raise _wrong(key, f"a whole number, {bounds}", value)
    return value


def flag(value: object, key: str = "") -> bool:
    """
    Read true or false.
    """
    if not isinstance(value, bool):
        raise _wrong(key, "true or false", value)
    return value


def text(value: object, key: str = "") -> str:
    """
    Read a text on one line, maybe empty.
    """
    if not isinstance(value, str) or not (value.isprintable() or not value):
        raise _wrong(key, "a text on one line, without control characters", value)
    return value


def choice(value: object, choices: Sequence[str], key: str = "") -> str:
    """
    Read one of some words.
    """
    if not isinstance(value, str) or value not in choices:
        raise _wrong(key, " or ".join(f'"{word}"' for word in choices), value)
    return value


def texts(value: object, key: str = "") -> tuple[str, ...]:
    """
    Read a list of texts that are not empty; a single text is a list of one.
    """
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple) or not all(isinstance(entry, str) and entry for entry in value):
        raise _wrong(key, "a list of texts", value)
    return tuple([text(entry, key) for entry in value])


def reply(value: object, key: str = "") -> Reply:
    """
    Read a refusal such as "550 5.7.1 not here" or "451 4.7.1 later".
    """
    allowed = 'a 4yz or 5yz reply such as "550 5.7.1 not here"'
    try:
        found = Reply.of(text(value, key))
    except ValueError:
        raise _wrong(key, allowed, value) from None
    if found.positive:
        raise _wrong(key, allowed, value)
    return found


def networks(value: object, key: str = "") -> Callable[[str], bool]:
    """
    Read a list of networks ("192.0.2.0/24", "2001:db8::/32", a single address, "unix", "*"), and give what tells
    whether a `session.peer` is in one of them.
    """
    table: NetworkTable[bool] = NetworkTable()
    _fill(table, value, key)
    return lambda peer: table.find(peer) is not None


def addresses(value: object, key: str = "") -> Callable[[Address | None], bool]:
    """
    Read a list of mailboxes, and give what tells whether an address is among them: "user@example.org" is that mailbox,
    "user@" that local part in any domain, "@example.org" or "example.org" all of exactly that domain, ".example.org"
    all of the domains below it (not of itself), "<>" the null reverse-path, "*" all. Case does not count, and domains
    may be written with U-labels.
    """
    table: AddressTable[bool] = AddressTable()
    _fill(table, value, key)
    return lambda address: table.find_path(address) is not None


def domains(value: object, key: str = "") -> Callable[[str], bool]:
    """
    Read a list of domains ("example.org" is exactly that one, ".example.org" those below it, "*" any), and give what
    tells whether an `Address.domain` is among them.
    """
    table: DomainTable[bool] = DomainTable()
    _fill(table, value, key)
    return lambda domain: table.find(domain) is not None


def names(value: object, key: str = "") -> Callable[[str], bool]:
    """
    Read a list of names, of logins or of what clients call themselves, in which "*" stands for any characters, and give
    what tells whether a name is among them. Case does not count.
    """
    table: NameTable[bool] = NameTable()
    _fill(table, value, key)
    return lambda name: table.find(name) is not None


def _fill(table: Table[bool], value: object, key: str) -> None:
    """
    Fill a table; ValueError lists all that is wrong.
    """
    problems: list[str] = []
    for entry in texts(value, key):
        try:
            table.add(entry, True)
        except ValueError as problem:
            problems.append(str(problem))
    if problems:
        raise ValueError(f"{key}: {'; '.join(problems)}" if key else "; ".join(problems))


def _wrong(key: str, allowed: str, value: object) -> ValueError:
    """
    Make the error of an option that is not what it may be.
    """
    found = ascii(value)
    found = found if len(found) <= _SHOWN else f"{found[:_SHOWN]}..."
    return ValueError(f"{key}: {allowed}, not {found}" if key else f"{allowed}, not {found}")
