"""
What DNSSEC says of an answer: the whole chain of aliases, and the records, or the proof that there are none.

The one who asks follows aliases that lead out of a message, with a question of its own each; the weakest counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import dns.message
import dns.name
import dns.rcode
from dns.rdatatype import RdataType
from dns.rrset import RRset
from twisted.internet.interfaces import IReactorTime

from empath.dns.dnssec.anchors import Anchors
from empath.dns.dnssec.chain import Ask, Chain, Standing
from empath.dns.dnssec.denial import Denied
from empath.dns.dnssec.evidence import (
    Broken,
    Held,
    Zone,
    alias_at,
    check_denial,
    check_records,
    records_at,
    signers,
)
from empath.dns.dnssec.keys import Work
from empath.dns.question import Question
from empath.mail.answer import Security

MAX_ALIASES: Final = 10  # followed within one message
_ORDER: Final = (Security.BOGUS, Security.UNCHECKED, Security.INSECURE, Security.SECURE)


@attrs.frozen(slots=True)
class Finding:
    """
    What DNSSEC says of a message, why it is no more than that, and for how many seconds it may be believed at most.
    BOGUS is `silent` where nobody answered who could have proved it: soon somebody may.
    """

    security: Security
    why: str = ""
    lifetime: float = float("inf")
    silent: bool = False

    def weaker(self, other: Finding) -> Finding:
        """
        Tell what holds for both together, such as an alias and what it leads to.
        """
        worse = self if _ORDER.index(self.security) <= _ORDER.index(other.security) else other
        return attrs.evolve(worse, lifetime=min(self.lifetime, other.lifetime))


class Validator:
    """
    Judges messages that were asked with DO and CD set.

    `ask` gets what else is needed, DS and DNSKEY records, in the same way; it must not wait for a turn that the look-up
    being judged may hold.
    """

    def __init__(self, anchors: Anchors, ask: Ask, clock: IReactorTime) -> None:
        self._clock = clock
        self.chain = Chain(anchors, ask, clock)

    async def validate(self, question: Question, message: dns.message.Message) -> Finding:
        """
        Judge the answer to a question. A message that is no answer (SERVFAIL …) is UNCHECKED.
        """
        if message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return Finding(Security.UNCHECKED, f"no answer but {dns.rcode.to_text(message.rcode())}")
        work, finding, owner = Work(), Finding(Security.SECURE), question.name
        for _ in range(MAX_ALIASES + 1):
            records = records_at(message, owner, question.type)
            if records is not None and message.rcode() != dns.rcode.NOERROR:
                return Finding(Security.BOGUS, f"{owner}: there are records, and the name does not exist")
            if records is not None:
                return finding.weaker(await self._records(message, records, work))
            alias = alias_at(message, owner)
            if alias is None:
                return finding.weaker(await self._end(message, owner, question, work))
            finding = finding.weaker(await self._records(message, alias[0], work))
            owner = alias[1]
        return Finding(Security.BOGUS, f"{question.name}: more than {MAX_ALIASES} aliases, or a circle of them")

    async def _records(self, message: dns.message.Message, rrset: RRset, work: Work) -> Finding:
        """
        Judge one set of records of the answer.
        """
        found = Finding(Security.BOGUS)
        candidates = signers(_over(message.answer, rrset), rrset.name, rrset.rdtype, rrset.rdtype)
        for signer in candidates:
            zone = _apex(await self.chain.standing(signer), signer)
            if isinstance(zone, Zone):
                found = _finding(check_records(message, rrset, zone, self._clock.seconds(), work))
            else:
                found = zone
            if found.security is not Security.BOGUS:
                return found
        return found if candidates else await self._unsigned(rrset.name, rrset.rdtype)

    async def _end(self, message: dns.message.Message, owner: dns.name.Name, question: Question, work: Work) -> Finding:
        """
        Judge what there is where aliases end and no records are: a denial, or nothing that is said about `owner` yet.
        """
        if owner != question.name and message.rcode() == dns.rcode.NOERROR and not _denies(message, owner):
            return Finding(Security.SECURE)
        found = Finding(Security.BOGUS)
        candidates = signers(message.authority, owner, question.type, RdataType.NSEC, RdataType.NSEC3, RdataType.SOA)
        for signer in candidates:
            zone = _apex(await self.chain.standing(signer), signer)
            if isinstance(zone, Zone):
                now = self._clock.seconds()
                found = _finding(check_denial(message, owner, question.type, zone, now, work))
            else:
                found = zone
            if found.security is not Security.BOGUS:
                return found
        if candidates and not _denies(message, owner, below=candidates[0]):
            return found
        unsigned = await self._unsigned(owner, question.type)
        return unsigned if unsigned.security is Security.INSECURE or not candidates else found

    async def _unsigned(self, name: dns.name.Name, rdtype: RdataType) -> Finding:
        """
        Nobody signed it: that is right only where the chain ends above it.
        """
        owner = name.parent() if rdtype == RdataType.DS and name != dns.name.root else name
        standing = await self.chain.standing(owner)
        if standing.zone is None:
            return _told(standing)
        return Finding(Security.BOGUS, f"{name}: not signed, and {standing.zone.name} is")


def _apex(standing: Standing, signer: dns.name.Name) -> Zone | Finding:
    """
    Tell the zone whose name a signature bears, or what is found instead.
    """
    if standing.zone is None:
        return _told(standing)
    if standing.zone.name != signer:
        return Finding(Security.BOGUS, f"{signer}: signs, and is no zone")
    return standing.zone


def _told(standing: Standing) -> Finding:
    return Finding(standing.security, standing.why, silent=standing.silent)


def _finding(checked: Held | Broken) -> Finding:
    match checked:
        case Broken(why):
            return Finding(Security.BOGUS, why)
        case Held(lifetime, skipped):
            if skipped:
                return Finding(Security.INSECURE, Denied.SKIPPED.value, lifetime)
            return Finding(Security.SECURE, "", lifetime)


def _over(section: Sequence[RRset], rrset: RRset) -> list[RRset]:
    """
    Tell the signatures of the name that a set of records has.
    """
    return [found for found in section if found.name == rrset.name and found.rdclass == rrset.rdclass]


def _denies(message: dns.message.Message, owner: dns.name.Name, below: dns.name.Name | None = None) -> bool:
    """
    Tell whether a message says something of `owner`: it brings the SOA of a zone around it (RFC 2308 §2.2).

    With `below`, only a zone below that one counts, which may be unsigned though the one above proves a wildcard.
    """
    zones = [rrset.name for rrset in message.authority if rrset.rdtype == RdataType.SOA]
    return any(
        owner.is_subdomain(zone) and (below is None or (zone != below and zone.is_subdomain(below))) for zone in zones
    )
