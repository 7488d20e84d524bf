"""
Addresses: what is read and written again is the same, by whichever way it is read, and only ValueError refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from empath.errors import CommandRefused
from empath.mail.address import MAX_DOMAIN, MAX_LOCAL, Address, canonical_domain, parse_address, parse_domain
from empath.smtp.command import read_mail, read_rcpt
from empath.smtp.extension import Extension

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


def parsed(text: str) -> Address | None:
    """
    Read an address, None if it is none.
    """
    try:
        return parse_address(text)
    except ValueError:
        return None


def check(address: Address) -> None:
    """
    An address that was read can be written and read again.
    """
    assert parse_address(str(address)) == address
    assert address.text.isascii() and address.text.isprintable(), "it could smuggle something"
    assert parse_domain(address.domain) == canonical_domain(address.domain) == address.domain
    assert len(address.local) <= MAX_LOCAL and 0 < len(address.domain) <= MAX_DOMAIN + len("[IPv6:]")
    again = parsed(quoted(address))
    if again is not None:  # quoting may have made it too long
        assert (again.local, again.domain) == (address.local, address.domain)


def by_command(text: str, address: Address | None) -> None:
    """
    The fast way of MAIL and RCPT reads the same as the slow one.
    """
    line = f"<{text}>"
    reading: tuple[Callable[[], Address | None], ...] = (
        lambda: read_rcpt(f"TO:{line}").address,
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


def one_input(data: bytes) -> None:
    """
    Read one text as an address, as the argument of commands, and as a domain.
    """
    for text in dict.fromkeys((data.decode("latin-1"), data.decode("utf-8", "replace"))):
        address = parsed(text)
        if address is not None:
            check(address)
        if "\n" not in text and "\r" not in text:
            by_command(text, address)
        try:
            domain = canonical_domain(text)
        except ValueError:
            continue
        assert canonical_domain(domain) == parse_domain(domain) == domain
