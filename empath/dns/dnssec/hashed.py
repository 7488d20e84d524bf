"""
What NSEC3 records prove about names and records that are not there (RFC 5155 §8, RFC 9276).

Pure. All records given here were verified before, and belong to one zone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Final

import dns.name
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.NSEC3 import NSEC3

from empath.dns.dnssec.denial import Denied, Types
from empath.dns.dnssec.keys import Work

MAX_ITERATIONS: Final = 150  # as unbound and BIND; zones should have none (RFC 9276 §3.1)
_SHA1: Final = 1
_OPT_OUT: Final = 1

Parameters = tuple[int, bytes]
"""
Iterations and salt: what two records must share to be of one chain.
"""


class _Span:
    """
    One NSEC3 record: the hash it stands at, and the next one in the zone.
    """

    __slots__ = ("at", "following", "opt_out", "types")

    def __init__(self, at: bytes, rdata: NSEC3) -> None:
        self.at = at
        self.following = rdata.next
        self.types = Types(rdata.windows)
        self.opt_out = bool(rdata.flags & _OPT_OUT)

    def covers(self, digest: bytes) -> bool:
        """
        Tell whether a hash lies between the two; the last record's next is the first.
        """
        if self.at < self.following:
            return self.at < digest < self.following
        return digest > self.at or digest < self.following


class Nsec3Proofs:
    """
    Denial by the NSEC3 records of `zone` that share their parameters.
    """

    def __init__(self, zone: dns.name.Name, parameters: Parameters, spans: Sequence[_Span], work: Work) -> None:
        self._zone = zone
        self._iterations, self._salt = parameters
        self._spans = spans
        self._work = work
        self._known: dict[dns.name.Name, bytes | None] = {}

    def no_data(self, name: dns.name.Name, rdtype: RdataType) -> Denied:
        """
        The name itself without the type, a wildcard without the type, or a gap that may hold an unsigned zone.
        """
        if self._dear:
            return Denied.SKIPPED
        own = self._at(name)
        if own is not None:
            return own.types.lack(name, rdtype)
        encloser = self._encloser(name)
        gap = None if encloser is None else self._gap(name, encloser)
        if encloser is None or gap is None:
            return Denied.UNPROVEN
        if gap.opt_out:
            return Denied.SKIPPED
        wildcard = self._at(_wildcard(encloser))
        if wildcard is not None and wildcard.types.lack(name, rdtype) is Denied.NO_DATA:
            return Denied.NO_DATA
        return Denied.UNPROVEN

    def no_name(self, name: dns.name.Name) -> Denied:
        """
        The closest name that exists, a gap over the next closer one, and a gap over the wildcard.
        """
        if self._dear:
            return Denied.SKIPPED
        encloser = self._encloser(name)
        gap = None if encloser is None else self._gap(name, encloser)
        if encloser is None or gap is None or self._over(_wildcard(encloser)) is None:
            return Denied.UNPROVEN
        return Denied.SKIPPED if gap.opt_out else Denied.NO_NAME

    def no_closer(self, name: dns.name.Name, encloser: dns.name.Name) -> Denied:
        """
        A gap over the name one label longer than `encloser` (RFC 5155 §8.8).
        """
        if self._dear:
            return Denied.SKIPPED
        gap = self._gap(name, encloser)
        if gap is None:
            return Denied.UNPROVEN
        return Denied.SKIPPED if gap.opt_out else Denied.NO_NAME

    @property
    def _dear(self) -> bool:
        return self._iterations > MAX_ITERATIONS

    def _encloser(self, name: dns.name.Name) -> dns.name.Name | None:
        """
        Find the closest name above `name` that is proved to exist in this zone, and to be no way out of it.
        """
        while name != self._zone:
            name = name.parent()
            found = self._at(name)
            if found is not None:
                return None if found.types.elsewhere else name
        return None

    def _gap(self, name: dns.name.Name, encloser: dns.name.Name) -> _Span | None:
        return self._over(name.split(len(encloser) + 1)[1])

    def _at(self, name: dns.name.Name) -> _Span | None:
        digest = self._hash(name)
        return next((span for span in self._spans if span.at == digest), None)

    def _over(self, name: dns.name.Name) -> _Span | None:
        digest = self._hash(name)
        return next((span for span in self._spans if digest is not None and span.covers(digest)), None)

    def _hash(self, name: dns.name.Name) -> bytes | None:
        """
        Hash a name (RFC 5155 §5); None once that is too much work.
        """
        if name not in self._known:
            self._known[name] = self._iterated(name) if self._work.digest() else None
        return self._known[name]

    def _iterated(self, name: dns.name.Name) -> bytes:
        digest = hashlib.sha1(name.to_digestable() + self._salt).digest()
        for _ in range(self._iterations):
            digest = hashlib.sha1(digest + self._salt).digest()
        return digest


def nsec3_proofs(zone: dns.name.Name, records: Sequence[tuple[dns.name.Name, NSEC3]], work: Work) -> list[Nsec3Proofs]:
    """
    Sort records by their parameters; those that we do not understand prove nothing (RFC 5155 §8.1, §8.2).
    """
    chains: dict[Parameters, list[_Span]] = {}
    for owner, rdata in records:
        at = _hash_in(owner, zone)
        if at is not None and rdata.algorithm == _SHA1 and not rdata.flags & ~_OPT_OUT:
            chains.setdefault((rdata.iterations, rdata.salt), []).append(_Span(at, rdata))
    return [Nsec3Proofs(zone, parameters, spans, work) for parameters, spans in chains.items()]


def _hash_in(owner: dns.name.Name, zone: dns.name.Name) -> bytes | None:
    """
    Read the hash that is an owner's first label.
    """
    if len(owner) != len(zone) + 1 or not owner.is_subdomain(zone):
        return None
    try:
        return base64.b32hexdecode(owner.labels[0].upper())
    except (binascii.Error, ValueError):
        return None


def _wildcard(encloser: dns.name.Name) -> dns.name.Name:
    return dns.name.Name((b"*", *encloser.labels))
