"""
Keys, what vouches for them, and the signatures they made (RFC 4034, RFC 4035 §5, RFC 8624).

Pure. Whatever a zone's owner or somebody on the way wrote into a record is told as a text, never raised; how much work
they can make is bounded (`Work`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final, cast

import attrs
import cryptography.exceptions
import dns.dnssec
import dns.exception
import dns.name
import dns.rdataset
import dns.rdatatype
from dns.dnssectypes import Algorithm, DSDigest
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.DS import DS
from dns.rdtypes.ANY.RRSIG import RRSIG
from dns.rdtypes.dnskeybase import Flag
from dns.rrset import RRset

SKEW: Final = 3600.0  # seconds that our clock and a signer's may differ: a machine in the wrong time zone by an hour
_PROTOCOL: Final = 3  # of every DNSKEY (RFC 4034 §2.1.2)
_LONGEST_RSA: Final = 4096 // 8 + 12  # octets of modulus and exponent: more is slower than it is safe
_LONGEST_EXPONENT: Final = 8  # octets; a long one makes checking as slow as signing
_SHA2: Final = frozenset({DSDigest.SHA256, DSDigest.SHA384})
_DIGESTS: Final = _SHA2 | {DSDigest.SHA1}
_RSA: Final = frozenset({Algorithm.RSASHA1, Algorithm.RSASHA1NSEC3SHA1, Algorithm.RSASHA256, Algorithm.RSASHA512})
_CURVES: Final = frozenset({Algorithm.ECDSAP256SHA256, Algorithm.ECDSAP384SHA384, Algorithm.ED25519, Algorithm.ED448})
_POLICY: Final = dns.dnssec.allow_all_policy  # what is allowed is decided here: `known`, `known_digests`
_BROKEN: Final = (
    dns.exception.DNSException,
    cryptography.exceptions.UnsupportedAlgorithm,
    cryptography.exceptions.InternalError,
    ValueError,
    LookupError,
    ArithmeticError,
    TypeError,
    struct.error,
)


@attrs.define(slots=True)
class Work:
    """
    What one message may still cost us: signatures to check, digests and hashes to make.

    Records that match one another by the hundred are how a zone keeps validators busy (CVE-2023-50387, -50868).
    """

    signatures: int = 48
    digests: int = 48

    def sign(self) -> bool:
        """
        Take a check of a signature; False if none is left.
        """
        self.signatures -= 1
        return self.signatures >= 0

    def digest(self) -> bool:
        """
        Take a digest or a hash; False if none is left.
        """
        self.digests -= 1
        return self.digests >= 0


@attrs.frozen(slots=True, eq=False)
class Key:
    """
    A key that may sign a zone's records; `alone` is the set of just this one.
    """

    tag: int
    rdata: DNSKEY
    alone: dns.rdataset.Rdataset


def known(algorithm: int) -> bool:
    """
    Tell whether we can check signatures of this algorithm.
    """
    return algorithm in _RSA or algorithm in _CURVES


def known_digests(records: Iterable[DS]) -> tuple[DS, ...]:
    """
    Tell the DS records that can vouch for a key: SHA-1 only where there is nothing better (RFC 4509 §3).
    """
    usable = [ds for ds in records if known(ds.algorithm) and ds.digest_type in _DIGESTS]
    better = [ds for ds in usable if ds.digest_type in _SHA2]
    return tuple(better or usable)


def usable_keys(rrset: Iterable[object]) -> tuple[Key, ...]:
    """
    Tell the keys of a DNSKEY set that may sign records: zone keys, not revoked, of a size that is bearable.
    """
    keys = (rdata for rdata in rrset if isinstance(rdata, DNSKEY))
    return tuple(
        Key(dns.dnssec.key_id(rdata), rdata, dns.rdataset.from_rdata(0, rdata)) for rdata in keys if _usable(rdata)
    )


def vouched_keys(name: dns.name.Name, records: Sequence[DS], keys: Iterable[Key], work: Work) -> tuple[Key, ...]:
    """
    Tell which keys of the zone `name` its parent (or the operator) vouches for (RFC 4035 §5.2).
    """
    return tuple(key for key in keys if any(_vouches(ds, name, key, work) for ds in records))


def _vouches(ds: DS, name: dns.name.Name, key: Key, work: Work) -> bool:
    if (ds.key_tag, ds.algorithm) != (key.tag, key.rdata.algorithm) or not work.digest():
        return False
    made = dns.dnssec.make_ds(name, key.rdata, DSDigest(ds.digest_type), policy=_POLICY, validating=True)
    return bool(made.digest == ds.digest)


def _usable(key: DNSKEY) -> bool:
    flags = key.flags
    if not flags & Flag.ZONE or flags & Flag.REVOKE or key.protocol != _PROTOCOL or not known(key.algorithm):
        return False
    if key.algorithm not in _RSA:
        return True
    exponent = key.key[0] if key.key else 0  # 0: a length of two octets follows (RFC 3110 §2)
    return 0 < exponent <= _LONGEST_EXPONENT and len(key.key) <= _LONGEST_RSA


def signatures_of(section: Iterable[RRset], rrset: RRset) -> list[RRSIG]:
    """
    Find the signatures over a set of records in the section that it came in.
    """
    return [
        cast(RRSIG, rdata)
        for found in section
        if found.rdtype == dns.rdatatype.RRSIG and found.covers == rrset.rdtype and found.name == rrset.name
        if found.rdclass == rrset.rdclass
        for rdata in found
    ]


def verify(
    rrset: RRset, signatures: Iterable[RRSIG], zone: dns.name.Name, keys: Sequence[Key], now: float, work: Work
) -> RRSIG | str:
    """
    Tell a signature by one of the zone's keys that holds, or why there is none (RFC 4035 §5.3).
    """
    why = f"there is no signature by {zone}"
    for rrsig in signatures:
        if rrsig.signer != zone:
            continue
        trouble = _untimely(rrsig, now) or _misplaced(rrset, rrsig)
        if trouble:
            why = trouble
            continue
        why = f"there is no key {rrsig.key_tag} of algorithm {int(rrsig.algorithm)} at {zone}"
        for key in keys:
            if (key.tag, key.rdata.algorithm) != (rrsig.key_tag, rrsig.algorithm):
                continue
            if not work.sign():
                return "it would take too much work to check"
            if _holds(rrset, rrsig, key):
                return rrsig
            why = f"the signature by key {key.tag} of {zone} does not hold"
    return why


def expanded(rrset: RRset, rrsig: RRSIG) -> dns.name.Name | None:
    """
    Tell the name above the wildcard that a set of records was made from, None if it is no such set (RFC 4035 §5.3.2).
    """
    if rrsig.labels < _labels(rrset.name):
        return rrset.name.split(rrsig.labels + 1)[1]
    return None


def _labels(name: dns.name.Name) -> int:
    """
    Count as signatures do: neither the root nor a wildcard's asterisk (RFC 4034 §3.1.3).
    """
    return len(name) - 1 - name.is_wild()


def _untimely(rrsig: RRSIG, now: float) -> str:
    if rrsig.expiration + SKEW < now:
        return "the signature has expired"
    if rrsig.inception - SKEW > now:
        return "the signature is not valid yet"
    return ""


def _misplaced(rrset: RRset, rrsig: RRSIG) -> str:
    """
    A wildcard lies within its zone, and a name is not shorter than what it was made from.
    """
    if len(rrsig.signer) - 1 <= rrsig.labels <= _labels(rrset.name):
        return ""
    return "the signature is for another name"


def _holds(rrset: RRset, rrsig: RRSIG, key: Key) -> bool:
    try:  # time was judged before; the library knows no skew
        dns.dnssec.validate_rrsig(rrset, rrsig, {rrsig.signer: key.alone}, now=rrsig.inception, policy=_POLICY)
    except _BROKEN:
        return False
    return rrsig.inception <= rrsig.expiration
