"""
What a message brings along to prove what it says, checked against the keys of one zone.

Pure; the keys come from `empath.dns.dnssec.chain`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

import attrs
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.NSEC import NSEC
from dns.rdtypes.ANY.NSEC3 import NSEC3
from dns.rdtypes.ANY.RRSIG import RRSIG
from dns.rrset import RRset

from empath.dns.dnssec.denial import Denied, NsecProofs, Proofs
from empath.dns.dnssec.hashed import nsec3_proofs
from empath.dns.dnssec.keys import Key, Work, expanded, signatures_of, verify

MAX_SIGNERS: Final = 3  # zones tried for one set of records
_DENYING: Final = frozenset({RdataType.NSEC, RdataType.NSEC3, RdataType.SOA})


@attrs.frozen(slots=True, eq=False)
class Zone:
    """
    A zone whose keys are known and vouched for.
    """

    name: dns.name.Name
    keys: tuple[Key, ...]


@attrs.frozen(slots=True)
class Held:
    """
    It is as the message says, for so many seconds. `skipped`: only as far as an opted-out span of names lets us know.
    """

    lifetime: float
    skipped: bool = False


@attrs.frozen(slots=True)
class Broken:
    """
    It is not proved, and why.
    """

    why: str


def records_at(message: dns.message.Message, owner: dns.name.Name, rdtype: RdataType) -> RRset | None:
    """
    Find a set of records in the answer.
    """
    return message.get_rrset(message.answer, owner, dns.rdataclass.IN, rdtype) or None


def alias_at(message: dns.message.Message, owner: dns.name.Name) -> tuple[RRset, dns.name.Name] | None:
    """
    Find the alias of `owner` in the answer, and where it leads: the DNAME that a CNAME was made from, else that CNAME.

    Only the DNAME is signed (RFC 6672 §5.3.1); a CNAME that is not what the DNAME makes of the name counts for itself.
    """
    alias = records_at(message, owner, RdataType.CNAME)
    if alias is None:
        return None
    target = cast(dns.name.Name, alias[0].target)
    for rrset in message.answer:
        if rrset.rdtype == RdataType.DNAME and _made(owner, rrset, target):
            return rrset, target
    return alias, target


def _made(owner: dns.name.Name, rrset: RRset, target: dns.name.Name) -> bool:
    """
    Tell whether a CNAME is what a DNAME makes of its owner.
    """
    if owner == rrset.name or not owner.is_subdomain(rrset.name):
        return False
    try:
        return bool(owner.relativize(rrset.name).concatenate(rrset[0].target) == target)
    except dns.name.NameTooLong:
        return False


def signers(
    section: Sequence[RRset], owner: dns.name.Name, rdtype: RdataType, *types: RdataType
) -> list[dns.name.Name]:
    """
    Tell the zones whose signatures over records of these types can speak for `owner`, the closest first.

    A zone never speaks for its own DS: that is its parent's.
    """
    found = {
        cast(RRSIG, rdata).signer
        for rrset in section
        if rrset.rdtype == RdataType.RRSIG and rrset.covers in types
        for rdata in rrset
    }
    fit = [name for name in found if owner.is_subdomain(name) and not (rdtype == RdataType.DS and name == owner)]
    return sorted(fit, key=len, reverse=True)[:MAX_SIGNERS]


def check_records(message: dns.message.Message, rrset: RRset, zone: Zone, now: float, work: Work) -> Held | Broken:
    """
    Check a set of records of the answer; one made from a wildcard needs the proof that nothing is closer.
    """
    signature = verify(rrset, signatures_of(message.answer, rrset), zone.name, zone.keys, now, work)
    if isinstance(signature, str):
        return Broken(f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)}: {signature}")
    lifetime = _lifetime(rrset, signature, now)
    encloser = expanded(rrset, signature)
    if encloser is None:
        return Held(lifetime)
    name = rrset.name
    found = _prove(message, zone, now, work, lambda proofs: proofs.no_closer(name, encloser))
    return _held(found, lifetime, f"{name}: no proof that the wildcard below {encloser} answers for it")


def check_denial(
    message: dns.message.Message, owner: dns.name.Name, rdtype: RdataType, zone: Zone, now: float, work: Work
) -> Held | Broken:
    """
    Check that there is no such name (NXDOMAIN), or that it has no such records.
    """
    none = message.rcode() == dns.rcode.NXDOMAIN

    def told(proofs: Proofs) -> Denied:
        return proofs.no_name(owner) if none else proofs.no_data(owner, rdtype)

    found = _prove(message, zone, now, work, told)
    what = "that the name does not exist" if none else f"that it has no {dns.rdatatype.to_text(rdtype)}"
    return _held(found, float("inf"), f"{owner}: no proof by {zone.name} {what}")


def check_no_ds(
    message: dns.message.Message, owner: dns.name.Name, zone: Zone, now: float, work: Work
) -> tuple[Denied, float, str]:
    """
    Tell what `zone` proves of a name without DS, for how long, and why it proves nothing.
    """

    def told(proofs: Proofs) -> Denied:
        found = proofs.no_data(owner, RdataType.DS)
        return proofs.no_name(owner) if found is Denied.UNPROVEN else found

    found = _prove(message, zone, now, work, told)
    if isinstance(found, str):
        return Denied.UNPROVEN, 0.0, found
    return *found, f"{owner}: no proof by {zone.name} that it has no DS"


def _held(found: tuple[Denied, float] | str, lifetime: float, missing: str) -> Held | Broken:
    match found:
        case str():
            return Broken(found)
        case Denied.UNPROVEN, _:
            return Broken(missing)
        case denied, until:
            return Held(min(lifetime, until), denied is Denied.SKIPPED)


def _prove(
    message: dns.message.Message, zone: Zone, now: float, work: Work, told: Callable[[Proofs], Denied]
) -> tuple[Denied, float] | str:
    """
    Verify the zone's records of denial, and ask them; a text if one of them does not hold.
    """
    verified: list[RRset] = []
    lifetime = float("inf")
    for rrset, signatures in _denying(message.authority, zone.name):
        signature = verify(rrset, signatures, zone.name, zone.keys, now, work)
        if isinstance(signature, str):
            return f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)}: {signature}"
        if expanded(rrset, signature) is None:  # else it was made from a wildcard's, and would deny any name
            verified.append(rrset)
            lifetime = min(lifetime, _lifetime(rrset, signature, now))
    answers = (told(proofs) for proofs in _proofs(zone, verified, work))
    return next((found for found in answers if found is not Denied.UNPROVEN), Denied.UNPROVEN), lifetime


def _denying(section: Sequence[RRset], zone: dns.name.Name) -> Iterator[tuple[RRset, list[RRSIG]]]:
    """
    Find what a zone says of what is not there: what it signed, not its parent or child, and its SOA, signed or not.
    """
    for rrset in section:
        if rrset.rdtype in _DENYING and rrset.name.is_subdomain(zone):
            signatures = signatures_of(section, rrset)
            if rrset.name == zone or any(signature.signer == zone for signature in signatures):
                yield rrset, signatures


def _proofs(zone: Zone, verified: Sequence[RRset], work: Work) -> list[Proofs]:
    plain = [(rrset.name, cast(NSEC, rdata)) for rrset in verified if rrset.rdtype == RdataType.NSEC for rdata in rrset]
    hashed = [
        (rrset.name, cast(NSEC3, rdata)) for rrset in verified if rrset.rdtype == RdataType.NSEC3 for rdata in rrset
    ]
    return [*([NsecProofs(zone.name, plain)] if plain else []), *nsec3_proofs(zone.name, hashed, work)]


def _lifetime(rrset: RRset, signature: RRSIG, now: float) -> float:
    """
    No longer than the records say, whoever raised their time to live, nor than the signature (RFC 4035 §5.3.3).
    """
    return max(0.0, min(rrset.ttl, signature.original_ttl, signature.expiration - now))
