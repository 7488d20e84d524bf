"""
Addresses: what is read and written again is the same, by whichever way it is read, and only ValueError refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from empath.errors import CommandRefused
from empath.mail.address import MAX_DOMAIN, MAX_LOCAL, Address, canonical_domain, parse_address, parse_domain
from empath.smtp.command import read_mail, read_rcpt
from empath.smtp.extension import Extension

HARMFUL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
TOKENS: Final = (
    b"@",
    b'"',
    b"\\",
    b'"a b"',
    b'"\\"\\\\"',
    b"[192.0.2.1]",
    b"[IPv6:2001:db8::1]",
    b"[IPv6:::ffff:192.0.2.1]",
    b"[ipv6:::1%lo]",
    b"[]",
    b".",
    b"..",
    b"-",
    b"xn--",
    b"xn--mnchen-3ya",
    "münchen.example".encode(),
    "ß.example".encode(),
    "。".encode(),
    "\u202e".encode(),
    "\u0660".encode(),
    "\uff20".encode(),
    "u\u0308".encode(),
    "\u200d".encode(),
    b"\xc2\x85",
    b"\xed\xa0\x80",
    b"a" * 64,
    b"a" * 63 + b".",
    b"<",
    b">",
    b"\r\n",
    b"\x00",
    b" ",
    b"@a,@b:",
    b"%",
    b"!",
)


def quoted(address: Address) -> str:
    """
    Write an address anew, its local part always quoted.
    """
    escaped = address.local.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"@{address.domain}'


def parsed(text: str, utf8: bool = False) -> Address | None:
    """
    Read an address, None if it is none.
    """
    try:
        return parse_address(text, utf8)
    except ValueError:
        return None


def check(address: Address) -> None:
    """
    An address that was read can be written and read again.
    """
    assert parse_address(str(address), utf8=True) == address
    assert not HARMFUL.search(address.text), "it could smuggle something"
    assert parse_domain(address.domain) == canonical_domain(address.domain) == address.domain
    assert len(address.local.encode()) <= MAX_LOCAL and 0 < len(address.domain) <= MAX_DOMAIN + len("[IPv6:]")
    again = parsed(quoted(address), utf8=True)
    if again is not None:  # quoting may have made it too long
        assert (again.local, again.domain) == (address.local, address.domain)


def by_command(text: str, address: Address | None) -> None:
    """
    The fast way of MAIL and RCPT reads the same as the slow one.
    """
    line = f"<{text}>"
    reading: tuple[Callable[[], Address | None], ...] = (
        lambda: read_rcpt(f"TO:{line}", frozenset()).address,
        lambda: read_mail(f"FROM:{line} SIZE=10", frozenset(Extension)).reverse_path,
        lambda: read_mail(f"FROM:{line}", frozenset()).reverse_path,
    )
    for read in reading:
        try:
            found = read()
        except CommandRefused:
            assert address is None or len(line) > 256, f"{text!r} is an address, but the command refuses it"
            continue
        special = not text or text.startswith("@") or text.lower() == "postmaster"
        inside = ">" in text  # a path may end earlier, and parameters follow
        assert special or inside or found == address, f"{text!r}: {found} or {address}"


def by_utf8_command(text: str, address: Address | None) -> None:
    """
    MAIL and RCPT take an address that is not ASCII with SMTPUTF8 only.
    """
    if text.isascii() or ">" in text or text.startswith("@"):
        return
    offered = frozenset(Extension)
    reading: tuple[tuple[bool, Callable[[], Address | None]], ...] = (
        (True, lambda: read_mail(f"FROM:<{text}> SMTPUTF8", offered).reverse_path),
        (False, lambda: read_mail(f"FROM:<{text}>", offered).reverse_path),
        (True, lambda: read_rcpt(f"TO:<{text}>", offered, utf8=True).address),
        (False, lambda: read_rcpt(f"TO:<{text}>", offered).address),
    )
    for utf8, read in reading:
        try:
            found = read()
        except CommandRefused:
            assert not utf8 or address is None or len(text.encode()) > 254, f"{text!r} is refused with SMTPUTF8"
            continue
        assert utf8 and found == address, f"{text!r}: {found} or {address}"


def one_input(data: bytes) -> None:
    """
    Read one text as an address, as the argument of commands, and as a domain.
    """
    for text in dict.fromkeys((data.decode("latin-1"), data.decode("utf-8", "replace"))):
        address = parsed(text)
        if address is not None:
            assert address.text.isascii(), "not ASCII without SMTPUTF8"
            check(address)
        international = parsed(text, utf8=True)
        assert international == address or (address is None and not text.isascii()), "SMTPUTF8 changes ASCII"
        if international is not None:
            check(international)
        if "\n" not in text and "\r" not in text:
            by_utf8_command(text, international)
        if "\n" not in text and "\r" not in text:
            by_command(text, address)
        try:
            domain = canonical_domain(text)
        except ValueError:
            continue
        assert canonical_domain(domain) == parse_domain(domain) == domain
