"""
What the sender of a message wants of the transport security that carries it (RFC 8689).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from empath.mail.header import Header

if TYPE_CHECKING:
    from empath.mail.message import Message

REQUIRE_TLS: Final = "REQUIRETLS"  # the parameter of MAIL (RFC 8689 §2)
TLS_REQUIRED: Final = "TLS-REQUIRED"  # the header field of §3, noted beside the parameters of MAIL; no host is told


class Wish(Enum):
    """
    What is asked for.
    """

    __hash__ = object.__hash__  # members are singletons; Enum's own hashes the name in Python, at each look-up

    NONE = "none"
    REQUIRE = "require"  # REQUIRETLS: to hosts that are vouched for, over TLS, and that promise the same, or not at all
    OPTIONAL = "optional"  # TLS-Required: No: whatever the recipients' domain asks of TLS, the mail is to get there


def wishes(message: Message) -> Wish:
    """
    Tell what a message's sender wants.

    A bounce asks for nothing: it is not to be lost because its next hop does not know REQUIRETLS (RFC 8689 §5). Where
    both were said, REQUIRETLS counts (§4.1).
    """
    envelope = message.envelope
    parameters = envelope.parameters
    if not parameters:
        return Wish.NONE
    if REQUIRE_TLS in parameters:
        return Wish.NONE if envelope.reverse_path is None else Wish.REQUIRE
    return Wish.OPTIONAL if TLS_REQUIRED in parameters else Wish.NONE


def noted(parameters: dict[str, str], header: bytes) -> dict[str, str]:
    """
    Note with the parameters of MAIL what the header block of a message that is accepted says of TLS; wishes are told
    from there alone.

    "No" is all that the field can say, once (RFC 8689 §3); anything else is passed over, as is what stands beside
    REQUIRETLS (§4.1).
    """
    if b"tls-required" in header.lower() and REQUIRE_TLS not in parameters:
        said = [value.lower() for value in Header(header).get_all("TLS-Required")]
        if said == ["no"]:
            return {**parameters, TLS_REQUIRED: "No"}
    return parameters
