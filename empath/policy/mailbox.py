"""
Mailboxes as the operator's files name them, and how they are compared with those that clients say.
"""

from __future__ import annotations

from typing import Final

from empath.mail.address import canonical_domain, parse_address

_FALSE_FRIENDS: Final = frozenset("\u0130\u212a")  # I with a dot, and the sign of Kelvin: in lower case ASCII letters


def local_key(local: str) -> str:
    """
    Give what two local parts that differ in the case of letters have in common; what is not ASCII never becomes ASCII.
    """
    return local.lower() if local.isascii() or _FALSE_FRIENDS.isdisjoint(local) else local


def read_mailbox(text: str) -> tuple[str, str]:
    """
    Read an address, its domain perhaps with U-labels, as (`local_key`, domain); ValueError if it is none.
    """
    local, _, domain = text.rpartition("@")
    address = parse_address(f"{local}@{canonical_domain(domain)}", utf8=True)
    return local_key(address.local), address.domain
