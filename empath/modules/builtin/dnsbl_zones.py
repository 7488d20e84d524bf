"""
DNS lists as an operator writes them: the zones, which of their answers count, and for how much (RFC 5782).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import isfinite
from typing import Any, Final

import attrs

from empath.mail.address import canonical_domain
from empath.modules import options

_ONE: Final = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")
_KEYS: Final = frozenset({"zone", "answers", "weight"})
_LONGEST: Final = 253  # characters of a name in the DNS
_NEVER_IPV4: Final = "1.0.0.127"
_NEVER_IPV6: Final = IPv6Address("::ffff:7f00:1").reverse_pointer.removesuffix(".ip6.arpa")
_HOST: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.(?!\d+\Z)[a-z0-9-]{2,63}")

Answers = tuple[tuple[int, int], ...]
"""
The least and the greatest of each of the four octets of an answer.
"""


class Meaning(Enum):
    """
    What an address that a list answered means.
    """

    LISTED = "listed"
    OTHER = "other"  # a listing that is not asked for
    ERROR = "error"  # the list does not answer us, or is no list


@attrs.frozen(slots=True)
class Zone:
    """
    One list: what an answer that is among `answers` (any that means a listing, if there are none) adds to the score.
    """

    name: str
    answers: tuple[Answers, ...] = ()
    weight: float = 1.0

    def meaning(self, address: str) -> Meaning:
        """
        Tell what an answer means. Outside of 127.0.0.0/8 it is somebody's web site (RFC 5782 §2.1: such a list is not
        in working order), in 127.255.255.0/24 a refusal of our questions, and 127.0.0.1 is never a listing unless
        `answers` says so.
        """
        octets = tuple(map(int, address.split(".")))
        if octets[0] != 127 or octets[:3] == (127, 255, 255):
            return Meaning.ERROR
        if not self.answers:
            return Meaning.ERROR if octets == (127, 0, 0, 1) else Meaning.LISTED
        return Meaning.LISTED if any(_within(octets, answers) for answers in self.answers) else Meaning.OTHER


def read_zones(value: object, key: str) -> tuple[Zone, ...]:
    """
    Read a list of zones, each a name or a table of `zone`, `answers` and `weight`; ValueError for anything else.

    One name may be there several times, with different answers that have different weights.
    """
    if isinstance(value, str | dict):
        value = [value]
    if not isinstance(value, list | tuple):
        raise ValueError(f"{key}: a list of names, or of tables with {', '.join(sorted(_KEYS))}, not {value!r:.60}")
    return tuple([_read_zone(entry, f"{key}[{number}]") for number, entry in enumerate(value)])


def _read_zone(entry: object, key: str) -> Zone:
    table: dict[str, Any] = entry if isinstance(entry, dict) else {"zone": entry}
    unknown = sorted(set(table) - _KEYS)
    if unknown or "zone" not in table:
        raise ValueError(f"{key}: unknown key {unknown[0]!r}" if unknown else f"{key}: zone is missing")
    name = options.text(table["zone"], key)
    try:
        domain = canonical_domain(name)
    except ValueError as problem:
        raise ValueError(f"{key}: {problem}") from None
    if domain.startswith("["):
        raise ValueError(f"{key}: no domain: {name!r}")
    answers = tuple([_read_answers(text, key) for text in options.texts(table.get("answers", ()), key)])
    return Zone(domain, answers, _weight(table.get("weight", 1), key))


def _weight(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not value:
        raise ValueError(f"{key}: a weight is a number other than 0, not {value!r:.60}")
    return float(value)


def _read_answers(text: str, key: str) -> Answers:
    """
    Read "127.0.0.2", "127.0.0.2-11" or "127.0.*.1-3".
    """
    octets = [(0, 255) if octet == "*" else _read_octet(octet) for octet in text.split(".")]
    ranges = tuple([octet for octet in octets if octet is not None])
    if len(octets) != 4 or len(ranges) != 4 or not ranges[0] == (127, 127):
        raise ValueError(f'{key}: answers are such as "127.0.0.2", "127.0.0.2-11" or "127.0.*.1-3", not {text!r}')
    return ranges


def _read_octet(text: str) -> tuple[int, int] | None:
    match = _ONE.fullmatch(text)
    if match is None:
        return None
    low, high = int(match[1]), int(match[2] or match[1])
    return (low, high) if low <= high <= 255 else None


def _within(octets: tuple[int, ...], answers: Answers) -> bool:
    return all(low <= octet <= high for octet, (low, high) in zip(octets, answers, strict=True))


def client_label(peer: str) -> str:
    """
    Spell an address as lists know it: the octets of IPv4, the nibbles of IPv6, the last one first (RFC 5782 §2.1, 2.4).
    """
    address: IPv4Address | IPv6Address = ip_address(peer.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def never_listed(label: str) -> str:
    """
    Give the label of the same kind, a client's or a domain's, that no list has if it is in working order: 127.0.0.1,
    ::ffff:7f00:1, or the name "invalid" (RFC 5782 §5).
    """
    parts = label.split(".")
    if parts[-1].isdigit() and label.count(".") == _NEVER_IPV4.count("."):
        return _NEVER_IPV4
    return _NEVER_IPV6 if len(label) == len(_NEVER_IPV6) and all(len(part) == 1 for part in parts) else "invalid"


def domain_label(domain: str, zones: Iterable[Zone]) -> str:
    """
    Spell a domain as lists know it; "" where they cannot know it: an address, a name of one label, one too long.
    """
    name = domain.lower().rstrip(".")
    longest = max((len(zone.name) for zone in zones), default=0)
    if _HOST.fullmatch(name) is None or len(name) + 1 + longest > _LONGEST:
        return ""
    return name
