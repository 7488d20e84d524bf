"""
What came of one question put to one server: an answer, a reason to ask in another way, or why it told nothing.
"""

from __future__ import annotations

from typing import Final

import attrs
import dns.message
import dns.name

from empath.mail.answer import Found, MxRecord, Security, TlsaRecord

BOGUS: Final = "bogus"  # the kind of failure: signed, and the signatures do not hold
UNPROVEN: Final = "unproven"  # nobody told the keys by which they might


@attrs.frozen(slots=True)
class Heard:
    """
    A final answer, good for `ttl` seconds; `found` is never FAILED. `detail` tells what was left out.

    `authentic` is the server's word (AD, RFC 4035 §3.2.3), worth as much as the server and the way to it. `canonical`
    is the name at the end of the aliases, "" where there are none. `message` is where it stood, `security` our own
    word on it.
    """

    found: Found
    ttl: float
    mx: tuple[MxRecord, ...] = ()
    addresses: tuple[str, ...] = ()
    detail: str = ""
    texts: tuple[str, ...] = ()
    tlsa: tuple[TlsaRecord, ...] = ()
    canonical: str = ""
    authentic: bool = False
    security: Security = Security.UNCHECKED
    message: dns.message.Message | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen(slots=True)
class Alias:
    """
    The name is another's alias and the server did not look further: `target` is to be asked.
    """

    target: dns.name.Name
    ttl: float
    authentic: bool = False
    message: dns.message.Message | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen(slots=True)
class Cut:
    """
    The answer did not fit: to be asked again over TCP.
    """


@attrs.frozen(slots=True)
class NotUnderstood:
    """
    FORMERR, NOTIMP or BADVERS: perhaps it was the EDNS record (RFC 6891 §7).
    """


@attrs.frozen(slots=True)
class Useless:
    """
    This server will not tell, at once and for now: the next one may. `kind` is one of few words, `why` is for people.
    """

    kind: str
    why: str


@attrs.frozen(slots=True)
class Silent:
    """
    Nothing came from this server within the time, or the way to it is barred.
    """

    kind: str
    why: str


Reading = Heard | Alias | Cut | NotUnderstood | Useless
Failed = Useless | Silent
