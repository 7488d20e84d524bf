"""
Messages with TLSA records whose data are not what their matching type says. A library may refuse these records and the
message with them; but only the record is unusable (RFC 6698 §4.1), and the others count.

Pure. What is broken otherwise raises as dns.message.from_wire does.
"""

from __future__ import annotations

import struct
from typing import Final

import dns.message
import dns.rdatatype
import dns.wire
from dns.rdata import GenericRdata

_POINTER: Final = 0xC0
_UNREAD: Final = 65280  # a type for private use (RFC 6895 §3.1), which nobody reads


def read_opaque(wire: bytes) -> dns.message.Message:
    """
    Read a message, and its TLSA records as mere octets.
    """
    read = dns.message.from_wire(_renamed(wire), ignore_trailing=True)
    for rrset in list(read.answer):
        if rrset.rdtype == _UNREAD and not rrset.covers:
            found = read.find_rrset(read.answer, rrset.name, rrset.rdclass, dns.rdatatype.TLSA, create=True)
            for rdata in rrset:
                octets = rdata.to_generic().data
                found.add(GenericRdata(rrset.rdclass, dns.rdatatype.TLSA, octets), rrset.ttl)
    read.answer = [rrset for rrset in read.answer if rrset.rdtype != _UNREAD]
    return read


def _renamed(wire: bytes) -> bytes:
    """
    Give TLSA records another type.
    """
    changed = bytearray(wire)
    parser = dns.wire.Parser(wire)
    _, _, questions, *counts = parser.get_struct("!HHHHHH")
    for _ in range(questions):
        _skip_name(parser)
        parser.get_struct("!HH")
    for _ in range(sum(counts)):
        _skip_name(parser)
        at = parser.current
        rdtype, _, _, length = parser.get_struct("!HHIH")
        parser.get_bytes(length)
        if rdtype == dns.rdatatype.TLSA:
            struct.pack_into("!H", changed, at, _UNREAD)
    return bytes(changed)


def _skip_name(parser: dns.wire.Parser) -> None:
    """
    Go behind a name: its labels, or as many as there are before it goes on elsewhere (RFC 1035 §4.1.4).
    """
    while length := parser.get_uint8():
        if length >= _POINTER:
            parser.get_uint8()
            return
        parser.get_bytes(length)
