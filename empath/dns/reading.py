"""
What a server's bytes mean for one question. Pure: bytes in, a value out, and no bytes make it raise.

What is not an answer to our question (id, question, direction) is None, to be ignored, so that a forger gains nothing
by talking nonsense (RFC 5452). What is ours but broken is `Useless`, and the next server is asked.
"""

from __future__ import annotations

import re
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
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.SOA import SOA
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rrset import RRset

from empath.dns.question import Question
from empath.mail.answer import Found, MxRecord

MAX_CHAIN: Final = 10  # aliases followed, as in Postfix
MAX_RECORDS: Final = 128  # kept of one answer: a zone's owner must not fill our memory
MAX_TEXT: Final = 4096  # octets kept of the texts of one answer
MAX_IN_MESSAGE: Final = 512  # records read at all: 64 KiB of them would hold up everything else for 0.1 s
_FOREVER: Final = 0x7FFFFFFF
_LABEL: Final = re.compile(rb"[a-z0-9_-]+")
_OPCODE: Final = 0x7800
_HEADER: Final = struct.Struct("!HHHHHH")
_BROKEN: Final = (dns.exception.DNSException, ValueError, LookupError, ArithmeticError, TypeError, struct.error)
_BLANK: Final = {dns.rcode.FORMERR, dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED}
_KINDS: Final = {dns.rcode.SERVFAIL: "servfail", dns.rcode.REFUSED: "refused"}


@attrs.frozen(slots=True)
class Heard:
    """
    A final answer, good for `ttl` seconds; `found` is never FAILED. `detail` tells what was left out.
    """

    found: Found
    ttl: float
    mx: tuple[MxRecord, ...] = ()
    addresses: tuple[str, ...] = ()
    detail: str = ""
    texts: tuple[str, ...] = ()


@attrs.frozen(slots=True)
class Alias:
    """
    The name is another's alias and the server did not look further: `target` is to be asked.
    """

    target: dns.name.Name
    ttl: float


@attrs.frozen(slots=True)
class Cut:
    """
    The answer did not fit: to be asked again over TCP.
    """


@attrs.frozen(slots=True)
class NotUnderstood:
    """
    FORMERR, NOTIMP or BADVERS: perhaps it was the EDNS record (RFC 6891 §7).
    """


@attrs.frozen(slots=True)
class Useless:
    """
    This server will not tell, at once and for now: the next one may. `kind` is one of few words, `why` is for people.
    """

    kind: str
    why: str


@attrs.frozen(slots=True)
class Silent:
    """
    Nothing came from this server within the time, or the way to it is barred.
    """

    kind: str
    why: str


Reading = Heard | Alias | Cut | NotUnderstood | Useless
Failed = Useless | Silent


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
        return _judge(dns.message.from_wire(wire, ignore_trailing=True), question)
    except _BROKEN as trouble:
        return Useless("malformed", f"sent a broken answer ({type(trouble).__name__})")


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
        if records is not None:
            return _positive(records, min(ttl, records.ttl)) if rcode == dns.rcode.NOERROR else _contradiction()
        alias = _records(message, owner, dns.rdatatype.CNAME)
        if alias is None:
            return _negative(message, question, owner, ttl)
        target = alias[0]
        assert isinstance(target, CNAME)
        owner, ttl = target.target, min(ttl, alias.ttl)
    return Useless("malformed", f"sent more than {MAX_CHAIN} aliases, or a circle of them")


def _contradiction() -> Useless:
    return Useless("malformed", "said NXDOMAIN and sent records")


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


def _positive(records: RRset, ttl: float) -> Heard | Useless:
    if records.rdtype == dns.rdatatype.MX:
        return _mail_exchangers(records, ttl)
    if records.rdtype == dns.rdatatype.TXT:
        return _texts(records, ttl)
    if records.rdtype == dns.rdatatype.PTR:
        hosts = [host_text(record.target) for record in records if isinstance(record, PTR)]
        return Heard(Found.RECORDS, ttl, texts=tuple([host for host in hosts if host][:MAX_RECORDS]))
    addresses = tuple(record.address for record in records if isinstance(record, A | AAAA))
    cut = f"only {MAX_RECORDS} of {len(addresses)} addresses kept" if len(addresses) > MAX_RECORDS else ""
    return Heard(Found.RECORDS, ttl, addresses=addresses[:MAX_RECORDS], detail=cut)


def _texts(records: RRset, ttl: float) -> Heard:
    """
    Take the records that fit; each is its strings, joined (RFC 7208 §3.3).
    """
    texts = [b"".join(record.strings) for record in records if isinstance(record, TXT)]
    kept: list[bytes] = []
    for text in texts:
        if sum(map(len, kept)) + len(text) <= MAX_TEXT and len(kept) < MAX_RECORDS:
            kept.append(text)
    cut = f"only {len(kept)} of {len(texts)} texts kept" if len(kept) < len(texts) else ""
    return Heard(Found.RECORDS, ttl, detail=cut, texts=tuple([text.decode("utf-8", "replace") for text in kept]))


def _mail_exchangers(records: RRset, ttl: float) -> Heard | Useless:
    """
    Take the MX hosts that can be host names; where none can, nothing is known: it is not as if there were no MX.
    """
    exchangers = [record for record in records if isinstance(record, MX)]
    named = [(record.preference, host_text(record.exchange)) for record in exchangers]
    kept = [MxRecord(preference, host) for preference, host in named if host is not None]
    if not kept:
        return Useless("malformed", "named no MX host that could be a host name")
    kept.sort(key=lambda record: record.preference)
    dropped = len(named) - len(kept[:MAX_RECORDS])
    detail = f"{dropped} of {len(named)} MX records dropped: not host names, or too many" if dropped else ""
    return Heard(Found.RECORDS, ttl, mx=tuple(kept[:MAX_RECORDS]), detail=detail)


def host_text(name: dns.name.Name) -> str | None:
    """
    Write a host name in lower case without the final dot ("" for the root); None unless each label is letters,
    digits, "-" and "_": on the wire a label may hold any octet, a dot or a line end among them.
    """
    labels = [label.lower() for label in name.labels[:-1]]
    if not all(map(_LABEL.fullmatch, labels)):
        return None
    return b".".join(labels).decode("ascii")
