"""
XCLIENT: what a proxy says of the client behind it (Postfix's XCLIENT_README).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from types import MappingProxyType
from typing import Final

from empath.errors import CommandRefused
from empath.mail.reply import Reply
from empath.mail.xtext import decode_xtext, is_xtext
from empath.smtp.events import ClientAttributes

_SYNTAX: Final = Reply.of("501 5.5.4 syntax error in arguments")
_UNKNOWN: Final = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_NAME: Final = re.compile(r"[!-~]{1,255}")
_LOGIN: Final = re.compile(r"[ -~]{1,255}")
_PORT: Final = re.compile(r"[0-9]{1,5}")


def read_xclient(argument: str) -> ClientAttributes:
    """
    Read the argument of XCLIENT; CommandRefused for an attribute that is unknown, comes twice or is malformed.
    """
    values: dict[str, str | None] = {}
    if not argument.isascii():  # other letters might become ASCII in upper case
        raise CommandRefused(_SYNTAX)
    for word in argument.split():
        name, equals, text = word.partition("=")
        name = name.upper()
        if name not in _READERS or name in values or not equals or not is_xtext(text):
            raise CommandRefused(_SYNTAX)
        try:
            values[name] = None if text.upper() in _UNKNOWN else _READERS[name](decode_xtext(text))
        except ValueError:
            raise CommandRefused(_SYNTAX) from None
    if not values:
        raise CommandRefused(_SYNTAX)
    return ClientAttributes(values)


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise ValueError("no name")
    return text


def _login(text: str) -> str:
    if _LOGIN.fullmatch(text) is None:
        raise ValueError("no login")
    return text


def _address(text: str) -> str:
    """
    Read "192.0.2.1" or "IPV6:2001:db8::1"; an IPv4 address mapped into IPv6 becomes the IPv4 address it is.
    """
    address = ip_address(text[5:] if text[:5].upper() == "IPV6:" else text)
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:  # it means something on one machine only
            raise ValueError("an address with a zone")
        return str(address.ipv4_mapped or address)
    return str(address)


def _port(text: str) -> str:
    if _PORT.fullmatch(text) is None or int(text) > 65535:
        raise ValueError("no port")
    return str(int(text))


def _protocol(text: str) -> str:
    if text.upper() not in ("SMTP", "ESMTP"):
        raise ValueError("no protocol")
    return text.upper()


_READERS: Final = MappingProxyType[str, Callable[[str], str]](
    {
        "NAME": _name,
        "ADDR": _address,
        "PORT": _port,
        "PROTO": _protocol,
        "HELO": _name,
        "LOGIN": _login,
        "DESTADDR": _address,
        "DESTPORT": _port,
    }
)
ATTRIBUTES: Final = tuple(_READERS)
