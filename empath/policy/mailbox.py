"""
Mailboxes as the operator's files name them, and how they are compared with those that clients say.
"""

from __future__ import annotations

from typing import Final

from empath.mail.address import Address, canonical_domain, parse_address

EVERYBODY: Final = "\0"  # stands for every local part of a domain; no address has it

_FALSE_FRIENDS: Final = frozenset("\u0130\u212a")  # I with a dot, and the sign of Kelvin: in lower case ASCII letters


def local_key(local: str) -> str:
    """
    Give what two local parts that differ in the case of letters have in common; what is not ASCII never becomes ASCII.
    """
    return local.lower() if local.isascii() or _FALSE_FRIENDS.isdisjoint(local) else local


def key_of(address: Address) -> tuple[str, str]:
    """
    Give an address as `read_mailbox` does.
    """
    return local_key(address.local), address.domain


def read_mailbox(text: str) -> tuple[str, str]:
    """
    Read an address, its domain perhaps with U-labels, as (`local_key`, domain); ValueError if it is none.
    """
    local, _, domain = text.rpartition("@")
    return key_of(parse_address(f"{local}@{canonical_domain(domain)}", utf8=True))


def read_mailboxes(text: str) -> tuple[str, str]:
    """
    Read an address, or "@example.org" for all of a domain, as (EVERYBODY, domain).
    """
    if text.startswith("@"):
        return EVERYBODY, canonical_domain(text[1:])
    return read_mailbox(text)
