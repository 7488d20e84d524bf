"""
The header with which a proxy tells whom it speaks for: the PROXY protocol, versions 1 and 2 (HAProxy's
proxy-protocol.txt).

Twisted has parsers for it, but they want the beginning of a header in one piece and take any text for an address.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import attrs

LONGEST_LINE: Final = 107  # §2.1, with CRLF
LONGEST_BLOCK: Final = 536  # §2.2: what fits into any first segment
SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_WORD: Final = b"PROXY "
_FIXED: Final = 16
_LINE: Final = re.compile(
    rb"TCP([46]) ([0-9A-Fa-f.:]{2,45}) ([0-9A-Fa-f.:]{2,45}) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})"
)
_UNKNOWN: Final = re.compile(rb"UNKNOWN(?: .*)?", re.DOTALL)
_LOCAL, _PROXIED = 0x20, 0x21  # version 2 in the high half
_UNSPECIFIED, _TCP4, _TCP6, _UNIX_STREAM = 0x00, 0x11, 0x21, 0x31
_ADDRESS_OCTETS: Final = {_TCP4: 12, _TCP6: 36, _UNIX_STREAM: 216}


@attrs.frozen(slots=True)
class Header:
    """
    A whole header of `length` octets. `client` is its address and port, None where the proxy speaks for itself (LOCAL)
    or does not know an IP address (UNKNOWN, UNSPEC, UNIX).
    """

    length: int
    client: tuple[str, int] | None


@attrs.frozen(slots=True)
class Malformed:
    """
    What can never become a header, and why.
    """

    reason: str


def read_header(received: bytes) -> Header | Malformed | None:
    """
    Read the header at the beginning of what was received so far; None while more of it has to come.
    """
    if SIGNATURE.startswith(received[: len(SIGNATURE)]):
        return _block(received)
    if _WORD.startswith(received[: len(_WORD)]):
        return _line(received)
    return Malformed("no PROXY header")


def _line(received: bytes) -> Header | Malformed | None:
    """
    Read version 1: a line of text.
    """
    end = received.find(b"\r\n", 0, LONGEST_LINE)
    if end < 0:
        return Malformed(f"no end of line in {LONGEST_LINE} octets") if len(received) >= LONGEST_LINE else None
    said = received[len(_WORD) : end]
    if _UNKNOWN.fullmatch(said):
        return Header(end + 2, None)
    match = _LINE.fullmatch(said)
    if match is None:
        return Malformed("a line that is not as in version 1")
    family = IPv4Address if match[1] == b"4" else IPv6Address
    try:
        source, _ = family(match[2].decode()), family(match[3].decode())
    except ValueError:
        return Malformed(f"an address that is not of TCP{match[1].decode()}")
    port = int(match[4])
    if port > 65535 or int(match[5]) > 65535:
        return Malformed("a port beyond 65535")
    return Header(end + 2, (str(source), port))


def _block(received: bytes) -> Header | Malformed | None:
    """
    Read version 2: octets. What stands behind the addresses (type-length-value vectors) is passed over.
    """
    if len(received) < _FIXED:
        return None
    command, family = received[12], received[13]
    rest = int.from_bytes(received[14:_FIXED], "big")
    length = _FIXED + rest
    if command not in (_LOCAL, _PROXIED):
        return Malformed(f"version and command {command:#04x}")
    if length > LONGEST_BLOCK:
        return Malformed(f"{length} octets, more than {LONGEST_BLOCK}")
    known = command == _LOCAL or family == _UNSPECIFIED
    if not known and rest < _ADDRESS_OCTETS.get(family, LONGEST_BLOCK):
        return Malformed(f"address family {family:#04x} with {rest} octets")
    if len(received) < length:
        return None
    return Header(length, None if known else _address(family, received))


def _address(family: int, received: bytes) -> tuple[str, int] | None:
    """
    Read the source's address and port.
    """
    if family == _TCP4:
        return str(IPv4Address(received[16:20])), int.from_bytes(received[24:26], "big")
    if family == _TCP6:
        return str(IPv6Address(received[16:32])), int.from_bytes(received[48:50], "big")
    return None
