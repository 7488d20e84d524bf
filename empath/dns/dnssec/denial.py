"""
What NSEC records prove about names and records that are not there (RFC 4035 §5.4, RFC 6840 §4).

Pure. All records given here were verified before, and belong to one zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final, Protocol

import dns.name
import dns.rdatatype
from dns.rdatatype import CNAME, DNAME, DS, NS, SOA, RdataType
from dns.rdtypes.ANY.NSEC import NSEC

NXNAME: Final = 128  # in the types of a name that does not exist (RFC 9824)


class Denied(Enum):
    """
    What is proved.
    """

    NO_NAME = "the name does not exist"
    NO_DATA = "the name has no such records"
    DELEGATION = "the name is a zone that is not signed"
    SKIPPED = "there may be a zone that is not signed, or the proof is too dear (RFC 5155 §6, RFC 9276)"
    UNPROVEN = "nothing"


class Proofs(Protocol):
    """
    A zone's records of denial, as they came with one message.
    """

    def no_data(self, name: dns.name.Name, rdtype: RdataType) -> Denied:
        """
        Tell whether they prove that `name` has no records of this type, nor an alias.
        """

    def no_name(self, name: dns.name.Name) -> Denied:
        """
        Tell whether they prove that neither `name` nor a wildcard for it exists.
        """

    def no_closer(self, name: dns.name.Name, encloser: dns.name.Name) -> Denied:
        """
        Tell whether they prove that the wildcard below `encloser` is what answers for `name`.
        """


class Types:
    """
    The types of records that a name has, as its record of denial lists them.
    """

    __slots__ = ("_windows",)

    def __init__(self, windows: Iterable[tuple[int, bytes]]) -> None:
        self._windows = tuple(windows)

    def __contains__(self, rdtype: int) -> bool:
        window, bit = divmod(rdtype, 256)
        octet, mask = bit // 8, 0x80 >> bit % 8
        return any(
            number == window and octet < len(bitmap) and bool(bitmap[octet] & mask) for number, bitmap in self._windows
        )

    @property
    def elsewhere(self) -> bool:
        """
        Whether what lies below the name is another zone's, or another name's: nothing is proved about it here.
        """
        return self.delegated or DNAME in self

    @property
    def delegated(self) -> bool:
        """
        Whether it is the parent's side of a zone cut.
        """
        return NS in self and SOA not in self

    def lack(self, name: dns.name.Name, rdtype: RdataType) -> Denied:
        """
        Tell what is proved where these are the types of `name` itself.
        """
        if rdtype in self or CNAME in self:
            return Denied.UNPROVEN
        if rdtype != DS:
            return Denied.UNPROVEN if self.delegated else Denied.NO_DATA
        if SOA in self and name != dns.name.root:
            return Denied.UNPROVEN  # the child's: it does not know its parent's DS
        return Denied.DELEGATION if self.delegated else Denied.NO_DATA


class NsecProofs:
    """
    Denial by NSEC records of the zone `zone`.
    """

    def __init__(self, zone: dns.name.Name, records: Sequence[tuple[dns.name.Name, NSEC]]) -> None:
        self._zone = zone
        self._records = [
            (owner, rdata.next, Types(rdata.windows)) for owner, rdata in records if rdata.next.is_subdomain(zone)
        ]

    def no_data(self, name: dns.name.Name, rdtype: RdataType) -> Denied:
        """
        The name itself without the type, an empty non-terminal, or a wildcard without the type.
        """
        types = self._types(name)
        if types is not None:
            return types.lack(name, rdtype)
        span = self._span(name)
        if span is None:
            return Denied.UNPROVEN
        owner, following = span
        if following.is_subdomain(name):
            return Denied.NO_DATA
        types = self._types(_wildcard(_encloser(name, owner, following)))
        if types is not None and types.lack(name, rdtype) is Denied.NO_DATA:
            return Denied.NO_DATA
        return Denied.UNPROVEN

    def no_name(self, name: dns.name.Name) -> Denied:
        """
        A span over the name, and one over the wildcard that would answer for it.
        """
        types = self._types(name)
        if types is not None:
            return Denied.NO_NAME if NXNAME in types else Denied.UNPROVEN
        span = self._span(name)
        if span is None or span[1].is_subdomain(name):
            return Denied.UNPROVEN
        wildcard = _wildcard(_encloser(name, *span))
        above = self._span(wildcard)
        if self._types(wildcard) is not None or above is None or above[1].is_subdomain(wildcard):
            return Denied.UNPROVEN
        return Denied.NO_NAME

    def no_closer(self, name: dns.name.Name, encloser: dns.name.Name) -> Denied:
        """
        A span over the name whose ends share no more with it than `encloser`.
        """
        span = self._span(name)
        if span is None or span[1].is_subdomain(name) or _encloser(name, *span) != encloser:
            return Denied.UNPROVEN
        return Denied.NO_NAME

    def _types(self, name: dns.name.Name) -> Types | None:
        return next((types for owner, _, types in self._records if owner == name), None)

    def _span(self, name: dns.name.Name) -> tuple[dns.name.Name, dns.name.Name] | None:
        """
        Find the ends of a gap that the name lies in, in canonical order (RFC 4034 §6.1).
        """
        for owner, following, types in self._records:
            after = owner < name and (name < following or following == self._zone)
            if after and not (types.elsewhere and name.is_subdomain(owner)):
                return owner, following
        return None


def _encloser(name: dns.name.Name, owner: dns.name.Name, following: dns.name.Name) -> dns.name.Name:
    """
    Tell the closest name above `name` that exists, by the ends of the gap that it lies in.
    """
    shared = max(name.fullcompare(end)[2] for end in (owner, following))
    return name.split(shared)[1]


def _wildcard(encloser: dns.name.Name) -> dns.name.Name:
    return dns.name.Name((b"*", *encloser.labels))
