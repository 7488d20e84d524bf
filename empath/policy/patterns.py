"""
Patterns of an operator's lists (networks, addresses, domains, names), each with a value, and which one matches first.

A look-up costs some dictionary look-ups, however long the list is: one for each length of prefix that occurs, one for
each label of a domain where subdomains are listed. Only names with "*" inside are tried one by one.
What a pattern costs in memory is its key and a number: lists of a million leave the garbage collector nothing to do.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final, Generic, TypeVar

from empath.mail.address import Address, canonical_domain
from empath.policy.mailbox import local_key, read_mailbox
from empath.policy.relay import UNIX, client_address

T = TypeVar("T")

NULL: Final = "<>"
ANY: Final = "*"
NO_STAR: Final = 'no "*" inside: "@example.org" is all of a domain, ".example.org" all of those below it'
_NONE: Final = 2**62  # the rank of what is not there: behind all others
_PLAIN_IPV4: Final = re.compile(r"(?:(?:0|1\d{0,2}|2[0-4]?\d?|25[0-5]|[3-9]\d?)(?:\.(?!$)|$)){4}", re.ASCII)
_ONE_IPV4: Final = 2**32 - 1


class Table(ABC, Generic[T]):
    """
    What all tables have: values in the order in which they were added; the first that matches counts.
    """

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: list[T] = []

    def __len__(self) -> int:
        return len(self._values)

    def add(self, pattern: str, value: T) -> None:
        """
        Add a pattern behind the others; ValueError if it is none.
        """
        self._put(pattern, len(self._values))
        self._values.append(value)

    @abstractmethod
    def _put(self, pattern: str, rank: int) -> None:
        """
        Keep the pattern's rank where it is looked for, unless it is there already.
        """

    def _value(self, rank: int) -> T | None:
        return None if rank == _NONE else self._values[rank]


class NetworkTable(Table[T]):
    """
    Values by network: "192.0.2.0/24", "2001:db8::/32", a single address, "unix" for clients on a UNIX socket, or "*".
    """

    __slots__ = ("_any", "_masks", "_unix")

    def __init__(self) -> None:
        super().__init__()
        self._masks: dict[int, dict[int, dict[int, int]]] = {4: {}, 6: {}}
        self._any = self._unix = _NONE

    def _put(self, pattern: str, rank: int) -> None:
        if pattern == UNIX:
            self._unix = min(self._unix, rank)
        elif pattern == ANY:
            self._any = min(self._any, rank)
        elif _PLAIN_IPV4.fullmatch(pattern):  # without `ipaddress`, which takes much longer than all else here
            self._masks[4].setdefault(_ONE_IPV4, {}).setdefault(_ipv4(pattern), rank)
        else:
            network = ip_network(pattern)
            if network.version == 6 and network.network_address.ipv4_mapped is not None:
                raise ValueError(f"{pattern!r} is an IPv4 network: write it as one")
            same_length = self._masks[network.version].setdefault(int(network.netmask), {})
            same_length.setdefault(int(network.network_address), rank)

    def find(self, peer: str) -> T | None:
        """
        Give the value of the first pattern that matches a client ("unix", or an IP address as text).
        """
        if not self._values:
            return None
        if peer == UNIX:
            return self._value(min(self._any, self._unix))
        if ":" in peer:
            address = client_address(peer)
            version, number = address.version, int(address)
        else:
            version, number = 4, _ipv4(peer)
        first = self._any
        for mask, networks in self._masks[version].items():
            first = min(first, networks.get(number & mask, _NONE))
        return self._value(first)


class DomainTable(Table[T]):
    """
    Values by domain: "example.org" (or "@example.org") for exactly that one, ".example.org" for what lies below it, not
    itself, "*" for any.
    """

    __slots__ = ("_domains", "_parents")

    def __init__(self) -> None:
        super().__init__()
        self._domains: dict[str, int] = {}
        self._parents: dict[str, int] = {}  # "" for "*"

    def _put(self, pattern: str, rank: int) -> None:
        if pattern == ANY:
            self._parents.setdefault("", rank)
        elif ANY in pattern:
            raise ValueError(f"{pattern!r}: {NO_STAR}")
        elif pattern.startswith("."):
            self._parents.setdefault(canonical_domain(pattern[1:]), rank)
        else:
            self._domains.setdefault(canonical_domain(pattern.removeprefix("@")), rank)

    def find(self, domain: str) -> T | None:
        """
        Give the value of the first pattern that matches a domain as `Address.domain` has it.
        """
        return self._value(self._rank(domain))

    def _rank(self, domain: str) -> int:
        return min(self._domains.get(domain, _NONE), _parent_rank(self._parents, domain))


class AddressTable(DomainTable[T]):
    """
    Values by mailbox: "user@example.org", "user@" in any domain, "<>" for the null reverse-path, what DomainTable
    knows for domains, "*" for any, the null one too. Case does not count.
    """

    __slots__ = ("_locals", "_mailboxes", "_null")

    def __init__(self) -> None:
        super().__init__()
        self._mailboxes: dict[str, int] = {}  # one text takes less than a pair of them
        self._locals: dict[str, int] = {}
        self._null = _NONE

    def _put(self, pattern: str, rank: int) -> None:
        local, at, domain = pattern.rpartition("@")
        if ANY in local:  # a star is an atom like any other, but not what is meant
            raise ValueError(f"{pattern!r}: {NO_STAR}")
        if local and domain:
            self._mailboxes.setdefault("@".join(read_mailbox(pattern)), rank)
        elif at and not domain:  # any domain shows whether it is a local part
            self._locals.setdefault(read_mailbox(f"{local}@example.org")[0], rank)
        elif pattern == NULL:
            self._null = min(self._null, rank)
        else:
            super()._put(pattern, rank)

    def find_path(self, path: Address | None) -> T | None:
        """
        Give the value of the first pattern that matches a path; None is the null reverse-path.
        """
        if not self._values:
            return None
        if path is None:
            return self._value(min(self._null, self._parents.get("", _NONE)))
        local = local_key(path.local)
        first = min(self._mailboxes.get(f"{local}@{path.domain}", _NONE), self._locals.get(local, _NONE))
        return self._value(min(first, self._rank(path.domain)))


class NameTable(Table[T]):
    """
    Values by name (of EHLO, a login, a listener): any text, in which "*" stands for any characters. Case does not
    count.
    """

    __slots__ = ("_names", "_parents", "_wild")

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[str, int] = {}
        self._parents: dict[str, int] = {}  # "*.example.org": what people list by the thousand; "" for "*"
        self._wild: list[tuple[list[str], int]] = []

    def _put(self, pattern: str, rank: int) -> None:
        if not pattern:
            raise ValueError("an empty name")
        parts = pattern.lower().split(ANY)
        if len(parts) == 1:
            self._names.setdefault(parts[0], rank)
        elif len(parts) == 2 and not parts[0] and (not parts[1] or parts[1].startswith(".")):
            self._parents.setdefault(parts[1][1:], rank)
        else:
            self._wild.append((parts, rank))

    def find(self, name: str) -> T | None:
        """
        Give the value of the first pattern that matches a name.
        """
        if not self._values:
            return None
        name = name.lower()
        first = min(self._names.get(name, _NONE), _parent_rank(self._parents, name))
        for parts, rank in self._wild:
            if first < rank:
                break
            if _matches(parts, name):
                first = rank
        return self._value(first)


def _ipv4(address: str) -> int:
    """
    Give the number of an IPv4 address that is known to be one.
    """
    return int.from_bytes(bytes(map(int, address.split("."))), "big")


def _parent_rank(parents: dict[str, int], name: str) -> int:
    """
    Give the lowest rank of what a name ends with behind one of its dots, and of "", which any name does.
    """
    return min([parents.get(parent, _NONE) for parent in _parents(name)]) if parents else _NONE


def _parents(name: str) -> Iterator[str]:
    yield ""
    at = name.find(".")
    while at >= 0:
        yield name[at + 1 :]
        at = name.find(".", at + 1)


def _matches(parts: list[str], name: str) -> bool:
    """
    Tell whether a name consists of these parts in their order, with anything between them; in linear time.
    """
    first, *middle, last = parts
    if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
