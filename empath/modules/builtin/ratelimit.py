"""
`ratelimit`: so many messages, recipients or connections in so much time, by client, sender, login or domain.

Fatal: options that make no limit. Nothing is retried or ignored. What was counted is in memory: after a restart every
bucket is full again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from zope.interface import implementer

from empath.modules import (
    Address,
    IModule,
    IServices,
    MaybeVerdict,
    Recipient,
    Session,
    Transaction,
    disconnect,
    options,
    refuse,
)
from empath.policy.limit import TokenBuckets
from empath.policy.mailbox import local_key
from empath.policy.relay import UNIX, client_address

OF: Final = ("messages", "recipients", "connections")
OVER: Final = "450 4.7.1 rate limit exceeded, try again later"
CLOSING: Final = "421 4.7.0 too many connections, try again later"  # a greeting: 450 is unheard of there


def _mailbox(path: Address | None) -> str:
    return "" if path is None else f"{local_key(path.local)}@{path.domain}"


def _domain(path: Address | None) -> str:
    return "" if path is None else path.domain


def _of_login(session: Session, transaction: Transaction | None, recipient: Recipient | None) -> str:
    return session.login.lower()


def _of_sender(session: Session, transaction: Transaction | None, recipient: Recipient | None) -> str:
    return _mailbox(transaction.reverse_path if transaction else None)


def _of_sender_domain(session: Session, transaction: Transaction | None, recipient: Recipient | None) -> str:
    return _domain(transaction.reverse_path if transaction else None)


def _of_recipient_domain(session: Session, transaction: Transaction | None, recipient: Recipient | None) -> str:
    return _domain(recipient.address if recipient else None)


KeyOf = Callable[[Session, Transaction | None, Recipient | None], str]
KEYS: Final[Mapping[str, KeyOf]] = MappingProxyType(  # "" is no key
    {
        "login": _of_login,
        "sender": _of_sender,
        "sender_domain": _of_sender_domain,
        "recipient_domain": _of_recipient_domain,
    }
)
KNOWN_AT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(  # what of something may be counted by
    {
        "connections": ("client",),
        "messages": ("client", "login", "sender", "sender_domain"),
        "recipients": ("client", "login", "sender", "sender_domain", "recipient_domain"),
    }
)


@implementer(IModule)
class RateLimit:
    """
    Lets `rate` ("100/h") of something pass for each key, `burst` of them at once, and answers `reply` beyond.

    `of` says what is counted, `by` whose: clients by their network of `ipv4_prefix` or `ipv6_prefix` bits. What has no
    key (no login, a null reverse-path) is not limited, nor is who is exempt. At most `max_keys` keys are kept. It has
    the one hook at which it counts.
    """

    name = "ratelimit"

    def __init__(
        self,
        rate: object,
        by: object = "client",
        of: object = "messages",
        burst: object = None,
        reply: object = "",
        exempt_networks: object = (),
        exempt_logins: object = (),
        ipv4_prefix: object = 32,
        ipv6_prefix: object = 64,
        max_keys: object = 10_000,
    ) -> None:
        self._of = options.choice(of, OF, "of")
        self._by = options.choice(by, KNOWN_AT[self._of], "by")
        self._buckets = _buckets(rate, burst, options.integer(max_keys, "max_keys", low=1))
        self._reply = options.reply(reply or (CLOSING if self._of == "connections" else OVER), "reply")
        self._exempt_network = options.networks(exempt_networks, "exempt_networks")
        self._exempt_login = options.names(exempt_logins, "exempt_logins")
        self._ipv4 = options.integer(ipv4_prefix, "ipv4_prefix", 1, 32)
        self._ipv6 = options.integer(ipv6_prefix, "ipv6_prefix", 1, 128)
        self._key = KEYS.get(self._by, self._of_client)
        match self._of:
            case "connections":
                self.connect = self._judge
            case "messages":
                self.mail_from = self._judge
            case _:
                self.rcpt_to = self._judge

    def start(self, services: IServices) -> None:
        """
        Take what tells the time.
        """
        self._services = services
        self._clock = services.clock

    def _judge(
        self, session: Session, transaction: Transaction | None = None, recipient: Recipient | None = None
    ) -> MaybeVerdict:
        """
        Count one of them, and refuse it if it is too many.
        """
        if self._exempt_network(session.peer) or (session.login and self._exempt_login(session.login)):
            return None
        key = self._key(session, transaction, recipient)
        if not key or self._buckets.take(key, self._clock.seconds()):
            return None
        self._services.count("limited")
        why = f"over the rate of {self._of} by {self._by}: {session.peer if self._by == 'client' else key}"
        decide = disconnect if self._reply.code == 421 else refuse
        return decide(str(self._reply), why)

    def _of_client(self, session: Session, transaction: Transaction | None, recipient: Recipient | None) -> str:
        """
        Give the client's network, the address itself where that is meant.
        """
        peer = session.peer
        if peer == UNIX or (":" not in peer and self._ipv4 == 32):
            return peer
        address = client_address(peer)
        surplus = 32 - self._ipv4 if address.version == 4 else 128 - self._ipv6
        return f"{address.version} {int(address) >> surplus:x}"  # a network of `ipaddress` takes ten times as long


def _buckets(rate: object, burst: object, most: int) -> TokenBuckets:
    allowed = options.rate(rate, "rate")
    if not allowed.count:
        raise ValueError("rate: 0 is no limit: leave the module out")
    size = None if burst is None else options.integer(burst, "burst", low=1)
    return TokenBuckets(allowed.count, allowed.seconds, most, size)
