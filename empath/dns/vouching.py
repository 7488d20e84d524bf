"""
What answers are worth: whom we believe that DNSSEC's signatures hold (RFC 4033 §5).
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final, Protocol

import attrs

from empath.dns.question import Manner
from empath.dns.servers import Server
from empath.dns.told import Alias, Heard
from empath.mail.answer import Security

BOGUS: Final = "bogus"  # the kind of failure: signed, and the signatures do not hold
_AUTHENTIC: Final = Manner(authentic=True, signatures=True)
_RANK: Final = {Security.BOGUS: 0, Security.UNCHECKED: 1, Security.INSECURE: 2, Security.SECURE: 3}


class Vouching(Protocol):
    """
    A way to judge answers; `manner` is how questions have to be put for it.
    """

    @property
    def manner(self) -> Manner:
        """
        How to ask.
        """

    def judge(self, server: Server, told: Heard | Alias) -> Security:
        """
        Tell what an answer from `server` is worth.
        """


class NoVouching:
    """
    DNSSEC is off.
    """

    manner: Final = Manner()

    def judge(self, server: Server, told: Heard | Alias) -> Security:
        """
        Believe nothing.
        """
        return Security.UNCHECKED


@attrs.frozen(slots=True)
class TrustAd:
    """
    Believe the AD bit (RFC 4035 §3.2.3) of servers on this machine, and of others only if `remote`: on the way from
    them anybody could set it. DO is asked for as well as AD, since old servers look at nothing else.
    """

    remote: bool = False
    manner: Manner = _AUTHENTIC

    def judge(self, server: Server, told: Heard | Alias) -> Security:
        """
        Take the server's word.
        """
        return Security.SECURE if told.authentic and (self.remote or is_here(server)) else Security.UNCHECKED


def is_here(server: Server) -> bool:
    """
    Tell whether a server is on this machine.
    """
    return ip_address(server.address).is_loopback


def weaker(one: Security, other: Security) -> Security:
    """
    Tell what a chain of two answers is worth.
    """
    return min(one, other, key=_RANK.__getitem__)
