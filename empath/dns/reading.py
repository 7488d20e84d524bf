"""
What a server's bytes mean for one question. Pure: bytes in, a value out, and no bytes make it raise.

What is not an answer to our question (id, question, direction) is None, to be ignored, so that a forger gains nothing
by talking nonsense (RFC 5452). What is ours but broken is `Useless`, and the next server is asked.
"""

from __future__ import annotations

import struct
from typing import Final

import attrs
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.SOA import SOA
from dns.rrset import RRset

from empath.dns.opaque import read_opaque
from empath.dns.question import Question
from empath.dns.records import host_text, positive
from empath.dns.told import Alias, Cut, Heard, NotUnderstood, Reading, Useless
from empath.mail.answer import Found

MAX_CHAIN: Final = 10  # aliases followed, as in Postfix
MAX_IN_MESSAGE: Final = 512  # records read at all: 64 KiB of them would hold up everything else for 0.1 s
_FOREVER: Final = 0x7FFFFFFF
_OPCODE: Final = 0x7800
_HEADER: Final = struct.Struct("!HHHHHH")
_BROKEN: Final = (dns.exception.DNSException, ValueError, LookupError, ArithmeticError, TypeError, struct.error)
_BLANK: Final = {dns.rcode.FORMERR, dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED}
_KINDS: Final = {dns.rcode.SERVFAIL: "servfail", dns.rcode.REFUSED: "refused"}


def read(wire: bytes, ident: int, question: Question) -> Reading | None:
    """
    Read the bytes of one message; None if they are not the answer to `question` asked with `ident`.
    """
    if len(wire) < _HEADER.size:
        return None
    said, flags, questions, *counts = _HEADER.unpack_from(wire)
    if said != ident or not flags & dns.flags.QR or flags & _OPCODE:
        return None
    if not questions:  # a server that did not even read the question may leave it out
        rcode = dns.rcode.Rcode(flags & 0xF)
        return _refusal(rcode) if rcode in _BLANK else None
    if questions != 1 or not _repeats(wire, question):
        return None
    if flags & dns.flags.TC:
        return Cut()
    if sum(counts) > MAX_IN_MESSAGE:
        return Useless("malformed", f"sent more than {MAX_IN_MESSAGE} records")
    try:
        message = _parse(wire, question)
        reading = _judge(message, question)
    except _BROKEN as trouble:
        return Useless("malformed", f"sent a broken answer ({type(trouble).__name__})")
    if isinstance(reading, Heard | Alias):
        return attrs.evolve(reading, authentic=bool(flags & dns.flags.AD), message=message)
    return reading


def _parse(wire: bytes, question: Question) -> dns.message.Message:
    try:
        return dns.message.from_wire(wire, ignore_trailing=True)
    except _BROKEN:
        if question.type != dns.rdatatype.TLSA:
            raise
        return read_opaque(wire)


def _repeats(wire: bytes, question: Question) -> bool:
    try:
        asked = dns.message.from_wire(wire, question_only=True, ignore_trailing=True).question[0]
    except _BROKEN:
        return False
    return (asked.name, asked.rdtype, asked.rdclass) == (question.name, question.type, dns.rdataclass.IN)


def _refusal(rcode: dns.rcode.Rcode) -> NotUnderstood | Useless:
    if rcode in (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS):
        return NotUnderstood()
    return Useless(_KINDS.get(rcode, "rcode"), f"said {dns.rcode.to_text(rcode)}")


def _judge(message: dns.message.Message, question: Question) -> Reading:
    """
    Follow the aliases inside the answer section to the records, or to the proof that there are none.
    """
    rcode = message.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return _refusal(rcode)
    owner, ttl = question.name, _FOREVER
    for _ in range(MAX_CHAIN + 1):
        records = _records(message, owner, question.type)
        if records is not None and rcode != dns.rcode.NOERROR:
            return Useless("malformed", "said NXDOMAIN and sent records")
        if records is not None:
            return _at(owner, positive(records, min(ttl, records.ttl)), question)
        alias = _records(message, owner, dns.rdatatype.CNAME)
        if alias is None:
            return _at(owner, _negative(message, question, owner, ttl), question)
        target = alias[0]
        assert isinstance(target, CNAME)
        owner, ttl = target.target, min(ttl, alias.ttl)
    return Useless("malformed", f"sent more than {MAX_CHAIN} aliases, or a circle of them")


def _at(owner: dns.name.Name, reading: Reading, question: Question) -> Reading:
    """
    Note where the aliases led, if anywhere.
    """
    if owner == question.name or not isinstance(reading, Heard):
        return reading
    return attrs.evolve(reading, canonical=host_text(owner) or "")


def _records(message: dns.message.Message, owner: dns.name.Name, type_: dns.rdatatype.RdataType) -> RRset | None:
    return message.get_rrset(message.answer, owner, dns.rdataclass.IN, type_) or None


def _negative(message: dns.message.Message, question: Question, owner: dns.name.Name, ttl: float) -> Reading:
    """
    Tell NXDOMAIN, no data, a referral and an unfinished chain apart (RFC 2308 §2).

    Without the zone's SOA the time to live is 0: then only the cache's floor holds it.
    """
    soa = next((s for s in message.authority if s.rdtype == dns.rdatatype.SOA and owner.is_subdomain(s.name)), None)
    known = min(ttl, _minimum(soa)) if soa else 0
    if message.rcode() == dns.rcode.NXDOMAIN:
        return Heard(Found.NO_NAME, known)
    if soa is None and owner != question.name:
        return Alias(owner, ttl)
    if soa is None and any(rrset.rdtype == dns.rdatatype.NS for rrset in message.authority):
        return Useless("referral", "does not recurse: it only named other servers")
    return Heard(Found.NO_DATA, known)


def _minimum(soa: RRset) -> float:
    record = soa[0]
    assert isinstance(record, SOA)
    return min(soa.ttl, record.minimum)
