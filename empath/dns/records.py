"""
From records on the wire to values: only what can be used, and no more of it than our memory should hold.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final

import dns.name
import dns.rdatatype
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rrset import RRset

from empath.dns.told import Heard, Useless
from empath.mail.answer import Found, MxRecord, TlsaRecord

MAX_RECORDS: Final = 128  # kept of one answer: a zone's owner must not fill our memory
MAX_TEXT: Final = 4096  # octets kept of the texts of one answer
MAX_ASSOCIATIONS: Final = 16384  # octets kept of the TLSA records of one answer: some whole certificates
_LABEL: Final = re.compile(rb"[a-z0-9_-]+")


def positive(records: RRset, ttl: float) -> Heard | Useless:
    """
    Read the records of an answer.
    """
    match records.rdtype:
        case dns.rdatatype.MX:
            return _mail_exchangers(records, ttl)
        case dns.rdatatype.TXT:
            return _texts(records, ttl)
        case dns.rdatatype.TLSA:
            return _associations(records, ttl)
        case dns.rdatatype.CNAME:
            targets = [host_text(record.target) for record in records if isinstance(record, CNAME)]
            return Heard(Found.RECORDS, ttl, canonical=targets[0] or "")
        case dns.rdatatype.PTR:
            hosts = [host_text(record.target) for record in records if isinstance(record, PTR)]
            return Heard(Found.RECORDS, ttl, texts=tuple([host for host in hosts if host][:MAX_RECORDS]))
    addresses = tuple(_plain(record.address) for record in records if isinstance(record, A | AAAA))
    cut = f"only {MAX_RECORDS} of {len(addresses)} addresses kept" if len(addresses) > MAX_RECORDS else ""
    return Heard(Found.RECORDS, ttl, addresses=addresses[:MAX_RECORDS], detail=cut)


def _plain(address: str) -> str:
    """
    Write an address as everybody here does: not with the dots of IPv4 in IPv6.
    """
    return str(IPv6Address(address)) if ":" in address and "." in address else address


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


def _associations(records: RRset, ttl: float) -> Heard:
    """
    Take the TLSA records that fit, the digests before whole certificates and keys: those are what most servers use.
    """
    written = [record.to_generic().data for record in records]
    found = [TlsaRecord(data[0], data[1], data[2], data[3:]) for data in written if len(data) > 2]
    found.sort(key=lambda record: (len(record.association), record.usage, record.selector, record.matching))
    kept: list[TlsaRecord] = []
    room = MAX_ASSOCIATIONS
    for record in found[:MAX_RECORDS]:
        room -= len(record.association)
        if room >= 0:
            kept.append(record)
    cut = f"only {len(kept)} of {len(written)} TLSA records kept" if len(kept) < len(written) else ""
    return Heard(Found.RECORDS, ttl, detail=cut, tlsa=tuple(kept))


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
