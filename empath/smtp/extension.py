"""
The service extensions that a server session can offer (RFC 5321 §2.2), and what the edge knows of a client.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from types import MappingProxyType
from typing import Final

import attrs

from empath.smtp.events import Verb

COMMAND_LINE: Final = 512  # octets with CRLF (RFC 5321 §4.5.3.1.4)
AUTH_LINE: Final = 12288  # RFC 4954 §4


class Extension(Enum):
    """
    What EHLO lists, by keyword, in the order of the list.
    """

    PIPELINING = "PIPELINING"  # RFC 2920
    SIZE = "SIZE"  # RFC 1870
    STARTTLS = "STARTTLS"  # RFC 3207
    AUTH = "AUTH"  # RFC 4954
    EIGHT_BIT = "8BITMIME"  # RFC 6152
    ENHANCED = "ENHANCEDSTATUSCODES"  # RFC 2034
    DSN = "DSN"  # RFC 3461
    UTF8 = "SMTPUTF8"  # RFC 6531
    CHUNKING = "CHUNKING"  # RFC 3030
    BINARY = "BINARYMIME"  # RFC 3030
    DELIVER_BY = "DELIVERBY"  # RFC 2852
    FUTURE_RELEASE = "FUTURERELEASE"  # RFC 4865
    PRIORITY = "MT-PRIORITY"  # RFC 6710
    REQUIRE_TLS = "REQUIRETLS"  # RFC 8689; to sessions that TLS protects
    LIMITS = "LIMITS"  # RFC 9422
    XCLIENT = "XCLIENT"  # Postfix's XCLIENT_README

    __hash__ = object.__hash__  # by identity: Enum's own is a Python call, and parameters look their extension up


@attrs.frozen(slots=True)
class Standing:
    """
    What the edge knows of the client, apart from what it says: whether TLS protects the session, the `login` it proved
    ("" for none), whether it may relay (`trusted`), and whether it may say XCLIENT.
    """

    secure: bool = False
    login: str = ""
    trusted: bool = False
    xclient: bool = False


_NEEDS: Final = MappingProxyType(
    {
        Extension.BINARY: frozenset({Extension.CHUNKING, Extension.EIGHT_BIT}),  # RFC 3030 §3; BODY= is RFC 6152's
        Extension.UTF8: frozenset({Extension.EIGHT_BIT}),  # RFC 6531 §3.1
    }
)
_ADDED: Final = MappingProxyType(
    {  # octets by which an extension lengthens a command line
        Verb.MAIL: MappingProxyType(
            {
                Extension.SIZE: 26,  # RFC 1870 §3
                Extension.EIGHT_BIT: 17,  # RFC 6152 §2
                Extension.AUTH: 500,  # RFC 4954 §3
                Extension.UTF8: 10,  # RFC 6531 §3.1
                Extension.DSN: len(" RET=FULL") + len(" ENVID=") + 100,  # RFC 3461 §4.4
                Extension.DELIVER_BY: 17,  # RFC 2852 §3
                Extension.FUTURE_RELEASE: 34,  # RFC 4865 §3
                Extension.PRIORITY: 15,  # RFC 6710 §3
                Extension.REQUIRE_TLS: len(" REQUIRETLS"),  # RFC 8689 §2
            }
        ),
        Verb.RCPT: MappingProxyType(
            {Extension.DSN: len(" NOTIFY=SUCCESS,FAILURE,DELAY") + len(" ") + 500}  # RFC 3461 §4.2
        ),
        Verb.VRFY: MappingProxyType({Extension.UTF8: 10}),  # RFC 6531 §3.1
        Verb.AUTH: MappingProxyType({Extension.AUTH: AUTH_LINE - COMMAND_LINE}),  # initial responses may be tokens
    }
)


def offered(off: Collection[str]) -> frozenset[Extension]:
    """
    Tell what is offered when the keywords in `off` are not: what needs one of them is not either.
    """
    left = frozenset(extension for extension in Extension if extension.value not in off)
    return frozenset(extension for extension in left if _NEEDS.get(extension, left) <= left)


def line_limits(extensions: Collection[Extension]) -> dict[Verb, int]:
    """
    Tell how many octets the lines of commands may have, CRLF counted; those not named have COMMAND_LINE.
    """
    return {
        verb: COMMAND_LINE + sum(more for extension, more in added.items() if extension in extensions)
        for verb, added in _ADDED.items()
    }
