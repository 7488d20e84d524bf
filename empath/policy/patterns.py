"""
Patterns of an operator's lists (networks, addresses, domains, names), each with a value, and which one matches first.

A look-up costs some dictionary look-ups, however long the list is: one for each length of prefix that occurs, one for
each label of a domain where subdomains are listed. Only names with "*" inside are tried one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final, Generic, TypeVar

from empath.mail.address import Address, canonical_domain
from empath.policy.mailbox import local_key, read_mailbox
from empath.policy.relay import UNIX, client_address

T = TypeVar("T")
_Ranked = tuple[int, T]  # when it was added, and the value

NULL: Final = "<>"
ANY: Final = "*"
_BITS: Final = {4: 32, 6: 128}


class NetworkTable(Generic[T]):
    """
    Values by network: "192.0.2.0/24", "2001:db8::/32", a single address, "unix" for clients on a UNIX socket, or "*".
    """

    __slots__ = ("_count", "_masks", "_words")

    def __init__(self) -> None:
        self._count = 0
        self._masks: dict[int, dict[int, dict[int, _Ranked[T]]]] = {4: {}, 6: {}}
        self._words: dict[str, _Ranked[T]] = {}

    def __len__(self) -> int:
        return self._count

    def add(self, pattern: str, value: T) -> None:
        """
        Add a pattern behind the others; ValueError if it is none.
        """
        ranked = (self._count, value)
        if pattern in (UNIX, ANY):
            self._words.setdefault(pattern, ranked)
        else:
            network = ip_network(pattern)
            if network.version == 6 and network.network_address.ipv4_mapped is not None:
                raise ValueError(f"{pattern!r} is an IPv4 network: write it as one")
            same_length = self._masks[network.version].setdefault(int(network.netmask), {})
            same_length.setdefault(int(network.network_address), ranked)
        self._count += 1

    def find(self, peer: str) -> T | None:
        """
        Give the value of the first pattern that matches a client ("unix", or an IP address as text).
        """
        if not self._count:
            return None
        first = self._words.get(ANY)
        if peer == UNIX:
            return _value(_sooner(first, self._words.get(UNIX)))
        if ":" in peer:
            address = client_address(peer)
            version, number = address.version, int(address)
        else:  # without `ipaddress`, which takes longer for this than all else here
            version, number = 4, int.from_bytes(bytes(map(int, peer.split("."))), "big")
        for mask, networks in self._masks[version].items():
            first = _sooner(first, networks.get(number & mask))
        return _value(first)


class DomainTable(Generic[T]):
    """
    Values by domain: "example.org" (or "@example.org") for exactly that one, ".example.org" for what lies below it, not
    itself, "*" for any.
    """

    __slots__ = ("_count", "_domains", "_parents")

    def __init__(self) -> None:
        self._count = 0
        self._domains: dict[str, _Ranked[T]] = {}
        self._parents: dict[str, _Ranked[T]] = {}

    def __len__(self) -> int:
        return self._count

    def add(self, pattern: str, value: T) -> None:
        """
        Add a pattern behind the others; ValueError if it is none.
        """
        self.rank(pattern, (self._count, value))
        self._count += 1

    def find(self, domain: str) -> T | None:
        """
        Give the value of the first pattern that matches a domain as `Address.domain` has it.
        """
        return _value(self.first(domain))

    def rank(self, pattern: str, ranked: _Ranked[T]) -> None:
        """
        Add a pattern of another table's count.
        """
        if pattern == ANY:
            self._parents.setdefault("", ranked)
        elif pattern.startswith("."):
            self._parents.setdefault(canonical_domain(pattern[1:]), ranked)
        else:
            self._domains.setdefault(canonical_domain(pattern.removeprefix("@")), ranked)

    def first(self, domain: str) -> _Ranked[T] | None:
        """
        Give the first match with its rank.
        """
        first = self._domains.get(domain)
        if self._parents:
            for parent in _parents(domain):
                first = _sooner(first, self._parents.get(parent))
        return first


class AddressTable(Generic[T]):
    """
    Values by mailbox: "user@example.org", "user@" in any domain, "<>" for the null reverse-path, what DomainTable
    knows for domains, "*" for any, the null one too. Case does not count.
    """

    __slots__ = ("_count", "_domains", "_locals", "_mailboxes", "_null")

    def __init__(self) -> None:
        self._count = 0
        self._domains: DomainTable[T] = DomainTable()
        self._mailboxes: dict[tuple[str, str], _Ranked[T]] = {}
        self._locals: dict[str, _Ranked[T]] = {}
        self._null: _Ranked[T] | None = None

    def __len__(self) -> int:
        return self._count

    def add(self, pattern: str, value: T) -> None:
        """
        Add a pattern behind the others; ValueError if it is none.
        """
        ranked = (self._count, value)
        local, at, domain = pattern.rpartition("@")
        if local and domain:
            self._mailboxes.setdefault(read_mailbox(pattern), ranked)
        elif at and not domain:
            self._locals.setdefault(
                read_mailbox(f"{local}@example.org")[0], ranked
            )  # any domain shows whether it is one
        elif pattern == NULL:
            self._null = self._null or ranked
        else:
            self._domains.rank(pattern, ranked)
            if pattern == ANY:
                self._null = self._null or ranked
        self._count += 1

    def find(self, address: Address | None) -> T | None:
        """
        Give the value of the first pattern that matches a path; None is the null reverse-path.
        """
        if not self._count:
            return None
        if address is None:
            return _value(self._null)
        local = local_key(address.local)
        first = _sooner(self._mailboxes.get((local, address.domain)), self._locals.get(local))
        return _value(_sooner(first, self._domains.first(address.domain)))


class NameTable(Generic[T]):
    """
    Values by name (of EHLO, a login, a listener): any text, in which "*" stands for any characters. Case does not
    count.
    """

    __slots__ = ("_count", "_names", "_parents", "_wild")

    def __init__(self) -> None:
        self._count = 0
        self._names: dict[str, _Ranked[T]] = {}
        self._parents: dict[str, _Ranked[T]] = {}  # "*.example.org": what people list by the thousand
        self._wild: list[tuple[list[str], _Ranked[T]]] = []

    def __len__(self) -> int:
        return self._count

    def add(self, pattern: str, value: T) -> None:
        """
        Add a pattern behind the others; ValueError for an empty one.
        """
        if not pattern:
            raise ValueError("an empty name")
        ranked = (self._count, value)
        pattern = pattern.lower()
        parts = pattern.split(ANY)
        if len(parts) == 1:
            self._names.setdefault(pattern, ranked)
        elif len(parts) == 2 and not parts[0] and parts[1][:1] in ("", "."):
            self._parents.setdefault(parts[1][1:], ranked)
        else:
            self._wild.append((parts, ranked))
        self._count += 1

    def find(self, name: str) -> T | None:
        """
        Give the value of the first pattern that matches a name.
        """
        if not self._count:
            return None
        name = name.lower()
        first = self._names.get(name)
        if self._parents:
            for parent in _parents(name):
                first = _sooner(first, self._parents.get(parent))
        for parts, ranked in self._wild:
            if first is not None and first[0] < ranked[0]:
                break
            if _matches(parts, name):
                first = ranked
        return _value(first)


def _value(ranked: _Ranked[T] | None) -> T | None:
    return None if ranked is None else ranked[1]


def _sooner(one: _Ranked[T] | None, other: _Ranked[T] | None) -> _Ranked[T] | None:
    """
    Give what was added first.
    """
    if one is None or (other is not None and other[0] < one[0]):
        return other
    return one


def _parents(name: str) -> Iterator[str]:
    """
    Give what a name ends with behind each of its dots, and "" for any name.
    """
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
