"""
What answers are worth: whom we believe that DNSSEC's signatures hold (RFC 4033 §5), if not ourselves.

Fatal: trust anchors that cannot be read (ConfigError, before anything is asked). Everything else is a Finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final, Protocol

import attrs
from twisted.internet.interfaces import IReactorTime

from empath.config.schema import Dns
from empath.dns.dnssec.anchors import SHIPPED, Anchors, read_anchors
from empath.dns.dnssec.chain import Ask
from empath.dns.dnssec.validator import Finding, Validator
from empath.dns.question import Manner, Question
from empath.dns.servers import Server
from empath.dns.told import Alias, Heard
from empath.errors import ConfigError
from empath.mail.answer import Security

_PLAIN: Final = Manner()
_AUTHENTIC: Final = Manner(authentic=True, signatures=True)
_SIGNED: Final = Manner(signatures=True, unchecked=True)
_UNCHECKED: Final = Finding(Security.UNCHECKED)
_SECURE: Final = Finding(Security.SECURE)


class Vouching(Protocol):
    """
    A way to judge answers.
    """

    @property
    def manner(self) -> Manner:
        """
        How questions have to be put for it.
        """

    @property
    def enforced(self) -> bool:
        """
        Whether what is bogus must not be used.
        """

    async def judge(self, server: Server, question: Question, told: Heard | Alias) -> Finding:
        """
        Tell what an answer from `server` is worth.
        """

    def forget(self) -> None:
        """
        Forget what was found out.
        """


@attrs.frozen(slots=True)
class NoVouching:
    """
    DNSSEC is off.
    """

    manner: Manner = _PLAIN
    enforced: bool = False

    async def judge(self, server: Server, question: Question, told: Heard | Alias) -> Finding:
        """
        Believe nothing.
        """
        return _UNCHECKED

    def forget(self) -> None:
        """
        There is nothing to forget.
        """


@attrs.frozen(slots=True)
class TrustAd:
    """
    Believe the AD bit (RFC 4035 §3.2.3) of servers on this machine, and of others only if `remote`: on the way from
    them anybody could set it. DO is asked for as well as AD, since old servers look at nothing else.
    """

    remote: bool = False
    manner: Manner = _AUTHENTIC
    enforced: bool = False  # what is bogus, such a server does not tell at all

    async def judge(self, server: Server, question: Question, told: Heard | Alias) -> Finding:
        """
        Take the server's word.
        """
        return _SECURE if told.authentic and (self.remote or is_here(server)) else _UNCHECKED

    def forget(self) -> None:
        """
        There is nothing to forget.
        """


@attrs.frozen(slots=True, eq=False)
class Checking:
    """
    Check the signatures ourselves. Servers are asked for them and to check nothing, with EDNS0 in any case: without it
    there are no signatures.
    """

    validator: Validator
    enforced: bool
    manner: Manner = _SIGNED

    async def judge(self, server: Server, question: Question, told: Heard | Alias) -> Finding:
        """
        Validate the message.
        """
        assert told.message is not None
        return await self.validator.validate(question, told.message)

    def forget(self) -> None:
        """
        Forget the keys of all zones.
        """
        self.validator.chain.clear()


def vouching_of(section: Dns, ask: Ask, clock: IReactorTime) -> Vouching:
    """
    Make what the section wants; `ask` is for the questions of its own that checking has.
    """
    match section.dnssec:
        case "off":
            return NoVouching()
        case "trust-ad":
            return TrustAd(section.trust_remote_ad)
        case "validate":
            return Checking(Validator(_anchors(section.trust_anchor), ask, clock), section.dnssec_enforce)


def _anchors(path: str) -> Anchors:
    if not path:
        return read_anchors(SHIPPED)
    try:
        with open(path, encoding="ascii") as file:
            return read_anchors(file.read())
    except (OSError, ValueError) as trouble:
        why = (trouble.strerror if isinstance(trouble, OSError) else None) or str(trouble)
        raise ConfigError(
            [f'delivery.dns.trust_anchor: found "{path}"; allowed: a file of trust anchors ({why})']
        ) from None


def is_here(server: Server) -> bool:
    """
    Tell whether a server is on this machine.
    """
    return ip_address(server.address).is_loopback


def judged(section: Dns) -> tuple[object, ...]:
    """
    Tell all that decides how answers are judged.
    """
    return section.dnssec, section.dnssec_enforce, section.trust_anchor, section.trust_remote_ad


def check_trust(section: Dns, servers: Sequence[Server]) -> None:
    """
    Refuse to believe what somebody on the way may have written: ConfigError.
    """
    away = [str(server) for server in servers if not is_here(server)]
    if section.dnssec == "trust-ad" and away and not section.trust_remote_ad:
        wanted = "a server on this machine, or trust_remote_ad"
        raise ConfigError([f'delivery.dns.dnssec: "trust-ad" needs {wanted}; not {", ".join(away)}'])
