"""
Reading DNS answers: no bytes raise, and what comes out is bounded and can be host names and addresses.

The first byte chooses the question. In every second case the header and the question are right and only the rest is
the input: three counts, then the records.
"""

from __future__ import annotations

import math
import re
import struct
from ipaddress import ip_address
from typing import Final

import dns.name

from empath.dns.question import Manner, query, question_of
from empath.dns.reading import read
from empath.dns.records import MAX_ASSOCIATIONS, MAX_RECORDS
from empath.dns.told import Alias, Cut, Heard, NotUnderstood, Useless
from empath.mail.answer import Found

IDENT: Final = 0x1267
QUESTIONS: Final = tuple(question_of("example.org", kind) for kind in ("MX", "A", "AAAA", "TXT", "TLSA"))
TOKENS: Final = (
    b"\xc0\x0c",
    b"\xc0\x00",
    b"\x07example\x03org\x00",
    b"\x02mx\xc0\x0c",
    b"\x00\x0f\x00\x01\x00\x00\x01\x2c",
    b"\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04",
    b"\x00\x1c\x00\x01\x00\x00\x01\x2c\x00\x10",
    b"\x00\x05\x00\x01\x00\x00\x01\x2c",
    b"\x00\x34\x00\x01\x00\x00\x01\x2c\x00\x23\x03\x01\x01",
    b"\x00\x06\x00\x01\x00\x00\x01\x2c",
    b"\x00\x02\x00\x01\xff\xff\xff\xff",
    b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00",
    b"\x00\x00\xfa\x00\xff",  # a TSIG record
    b"\x00\xff\x00\xff",
    b"\x81\x80",
    b"\x83\x80",
    b"\x3f" + b"x" * 63,
)
_HOST: Final = re.compile(r"(?:[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*)?")


def one_input(data: bytes) -> None:
    """
    Read one message.
    """
    chosen, rest = (data[0] ^ 0x30, data[1:]) if data else (0, b"")
    question = QUESTIONS[-1] if chosen & 8 else QUESTIONS[chosen & 3]
    wire = rest
    if chosen & 4:
        asked = query(question, IDENT, Manner(edns=False))
        counts = (rest + b"\0\0\0")[:3]
        flags = 0x8180 | (chosen >> 4)
        wire = struct.pack("!6H", IDENT, flags, 1, *counts) + asked[12:] + rest[3:]
    reading = read(wire, IDENT, question)
    match reading:
        case Heard():
            check(reading)
        case Alias(target=target, ttl=ttl):
            assert isinstance(target, dns.name.Name) and 0 <= ttl < math.inf
        case Useless(kind=kind, why=why):
            assert kind and why.isprintable(), why
        case None | Cut() | NotUnderstood():
            pass


def check(heard: Heard) -> None:
    """
    A final answer is what it says it is.
    """
    assert 0 <= heard.ttl <= 0x7FFFFFFF, heard.ttl
    assert heard.found is not Found.FAILED
    assert len(heard.mx) <= MAX_RECORDS and len(heard.addresses) <= MAX_RECORDS
    assert sum(len(record.association) for record in heard.tlsa) <= MAX_ASSOCIATIONS
    assert _HOST.fullmatch(heard.canonical), heard.canonical
    assert heard.detail.isprintable()
    assert heard.found is Found.RECORDS or not (heard.mx or heard.addresses)
    assert [each.preference for each in heard.mx] == sorted(each.preference for each in heard.mx)
    for record in heard.mx:
        assert _HOST.fullmatch(record.host) and len(record.host) <= 253, record.host
    for address in heard.addresses:
        assert str(ip_address(address)) == address, address
