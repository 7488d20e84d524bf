"""
Mail addresses as SMTP carries them (RFC 5321 §4.1.2, RFC 6531 §3.3).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import attrs
import idna

MAX_LOCAL: Final = 64  # octets (RFC 5321 §4.5.3.1.1)
MAX_DOMAIN: Final = 255
_MAX_LABEL: Final = 63  # RFC 1035 §2.3.4

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++"
_DOT_ATOM: Final = rf"{_ATOM}(?:\.{_ATOM})*+"
_LABEL: Final = r"[A-Za-z0-9]++(?:-++[A-Za-z0-9]++)*+"
_DOMAIN: Final = rf"{_LABEL}(?:\.{_LABEL})*+"
# RFC 6531 §3.3 without C1 controls, line and paragraph separators, marks of direction, zero width space, byte order
# mark and noncharacters: nobody sees them, and two addresses would look the same. The joiners U+200C and U+200D belong
# to the spelling of some languages.
_PLANES: Final = "".join(rf"\U{plane:04x}0000-\U{plane:04x}fffd" for plane in range(1, 17))
UTF8_CHARACTER: Final = (
    r"[\u00a0-\u061b\u061d-\u200a\u200c\u200d\u2010-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufdcf\ufdf0-\ufefe\uff00-\ufffd"
    rf"{_PLANES}]"
)
PRINTABLE: Final = re.compile(rf"(?:[ -~]|{UTF8_CHARACTER})*+")  # what an address can consist of
USUAL_ADDRESS: Final = rf"(({_DOT_ATOM})@({_DOMAIN}))"  # groups: what `usual_address` takes
_PLAIN: Final = re.compile(USUAL_ADDRESS)
_UNUSUAL: Final = re.compile(rf'(?:({_DOT_ATOM})|"((?:[ !#-\[\]-~]|\\[ -~])*+)")@(.+)')
_UTF8_ATOM: Final = rf"(?:[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]|{UTF8_CHARACTER})++"
_UTF8: Final = re.compile(
    rf'(?:({_UTF8_ATOM}(?:\.{_UTF8_ATOM})*+)|"((?:[ !#-\[\]-~]|{UTF8_CHARACTER}|\\[ -~])*+)")'
    rf"@((?:[!-~]|{UTF8_CHARACTER})+)"
)
_OTHER_DOTS: Final = re.compile(r"[\u3002\uff0e\uff61]")  # that IDNA takes for dots, and DNS does not
_PLAIN_DOMAIN: Final = re.compile(_DOMAIN)
_QUOTED_PAIR: Final = re.compile(r"\\(.)")


@attrs.frozen(slots=True)
class Address:
    """
    A mailbox: `local` unquoted, `domain` in lower case with A-labels, `text` as it was given and is sent on. Where
    `text` is not ASCII, only SMTPUTF8 can carry it (RFC 6531).

    `domain` is "[192.0.2.1]" or "[IPv6:2001:db8::1]" for an address literal and "" only for <Postmaster>
    (RFC 5321 §4.5.1). The null reverse-path is no Address: it is None wherever a reverse-path stands.
    """

    local: str
    domain: str
    text: str

    def __str__(self) -> str:
        return self.text


def parse_address(text: str, utf8: bool = False) -> Address:
    """
    Read a mailbox such as `user@example.org`, `"a b"@example.org` or `user@[192.0.2.1]`; ValueError if it is none.

    With `utf8` it may have a local part that is not ASCII, and U-labels (RFC 6531 §3.3); neither is normalized.
    """
    match = _PLAIN.fullmatch(text)
    if match is None:
        local, length, domain = _parse_utf8(text) if utf8 and not text.isascii() else _parse_unusual(text)
    else:
        local, domain = match[2], _fitting(match[3].lower())
        length = len(local)
    if length > MAX_LOCAL:
        raise ValueError(f"the local part is longer than {MAX_LOCAL} octets")
    return Address(local, domain, text)


def usual_address(text: str, local: str, domain: str) -> Address | None:
    """
    Make an address of what USUAL_ADDRESS matched; None where the lengths need a closer look.
    """
    if len(local) > MAX_LOCAL or len(domain) > _MAX_LABEL:
        return None
    return Address(local, domain.lower(), text)


def parse_domain(text: str) -> str:
    """
    Read an ASCII domain or an address literal, and give it as `Address.domain` has it; ValueError if it is none.
    """
    if text.startswith("["):
        return _parse_literal(text)
    if _PLAIN_DOMAIN.fullmatch(text) is None:
        raise ValueError(f"no domain: {text!r}")
    return _fitting(text.lower())


def canonical_domain(text: str) -> str:
    """
    Read a domain as people write it, perhaps with U-labels (RFC 5890) or a final dot, as `parse_domain` gives it.
    """
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(f"no domain: {text!r}: {error}") from error
    return parse_domain(text.removesuffix("."))


def _parse_unusual(text: str) -> tuple[str, int, str]:
    """
    Give local part, its length as written, and domain of a mailbox with a quoted local part or an address literal.
    """
    match = _UNUSUAL.fullmatch(text)
    if match is None:
        raise ValueError(f"no mailbox: {text!r}")
    atom, quoted, domain = match.groups()
    if atom is not None:
        return atom, len(atom), parse_domain(domain)
    return _QUOTED_PAIR.sub(r"\1", quoted), len(quoted) + 2, parse_domain(domain)


def _parse_utf8(text: str) -> tuple[str, int, str]:
    """
    As `_parse_unusual`, of a mailbox that is not ASCII; lengths are those of the octets.
    """
    match = _UTF8.fullmatch(text)
    if match is None:
        raise ValueError(f"no mailbox: {text!r}")
    atom, quoted, domain = match.groups()
    if domain.isascii():
        domain = parse_domain(domain)
    elif _OTHER_DOTS.search(domain) is None and not domain.endswith("."):
        domain = canonical_domain(domain)
    else:
        raise ValueError(f"no domain: {domain!r}")
    if atom is not None:
        return atom, len(atom.encode()), domain
    return _QUOTED_PAIR.sub(r"\1", quoted), len(quoted.encode()) + 2, domain


def _parse_literal(text: str) -> str:
    """
    Read "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 §4.1.3); no other kind has ever been registered.
    """
    inner = text[1:-1]
    if not text.endswith("]") or "%" in inner:  # a zone index means something on one machine only
        raise ValueError(f"no address literal: {text!r}")
    if inner[:5].upper() == "IPV6:":
        return f"[IPv6:{IPv6Address(inner[5:])}]"
    return f"[{IPv4Address(inner)}]"


def _fitting(domain: str) -> str:
    """
    Give the domain back if it and its labels are no longer than the DNS can hold.
    """
    if len(domain) > _MAX_LABEL and (
        len(domain) > MAX_DOMAIN or any(len(label) > _MAX_LABEL for label in domain.split("."))
    ):
        raise ValueError("the domain or one of its labels is too long")
    return domain
