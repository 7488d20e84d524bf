"""
DNS lists: clients, sender domains and names of clients that others have listed, for or against (RFC 5782).

Fatal, retried: nothing. Whoever does not answer in time, or answers with an error, has no opinion.
"""

from __future__ import annotations

from collections.abc import Awaitable
from string import Formatter
from typing import Final
from weakref import WeakKeyDictionary

import attrs
from twisted.internet.defer import TimeoutError as LookupTimeout
from zope.interface import implementer

from empath.modules import (
    Answer,
    Found,
    IModule,
    IServices,
    MaybeVerdict,
    Recipient,
    Reply,
    Session,
    Transaction,
    Verdict,
    options,
    refuse,
)
from empath.modules.builtin.dnsbl_inquiry import Hit, Inquiry, Lists, later, total
from empath.modules.builtin.dnsbl_zones import client_label, domain_label, read_zones

NAME: Final = "dnsbl"
STAGES: Final = ("connect", "mail_from", "rcpt_to")
REPLY: Final = "554 5.7.1 {listed} is listed at {zone}"
PRIVATE: Final = (
    "unix",
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::/127",
    "fc00::/7",
    "fe80::/10",
)
"""
Clients that no public list knows.
"""
_FIELDS: Final = frozenset({"listed", "peer", "text", "zone"})
_LONGEST_TEXT: Final = 200  # characters of a TXT record that a reply repeats


@attrs.define(slots=True, eq=False)
class _Standing:
    """
    What is known of one session: `judged` is the transaction that `verdict` is about.
    """

    peer: str
    client: Inquiry
    transaction: Transaction | None = None
    domains: tuple[Inquiry, ...] = ()
    judged: Transaction | None = None
    verdict: Verdict | None = None


@implementer(IModule)
class Dnsbl:
    """
    Refuses clients whose score reaches `threshold`: the sum of the weights of the `zones` that list the client, and of
    the `domains` that list the domain of the reverse-path or the client's name. See docs/modules/builtin/dnsbl.md.
    """

    name = NAME

    def __init__(
        self,
        zones: object = (),
        domains: object = (),
        threshold: object = 1,
        at: object = "rcpt_to",
        reply: object = REPLY,
        timeout: object = "4s",
        exempt: object = (),
        exempt_recipients: object = (),
    ) -> None:
        self._zones = read_zones(zones, "zones")
        self._domains = read_zones(domains, "domains")
        self._threshold = _threshold(threshold)
        self._at = options.choice(at, STAGES, "at")
        self._reply = _template(reply)
        self._wants_text = "{text}" in self._reply
        self._timeout = options.duration(timeout, "timeout")
        self._exempt = options.networks(exempt, "exempt")
        self._exempt_recipients = options.addresses(exempt_recipients, "exempt_recipients")
        self._private = options.networks(PRIVATE)
        self._standings: WeakKeyDictionary[Session, _Standing] = WeakKeyDictionary()
        if not self._zones and not self._domains:
            raise ValueError("zones: there is no list to ask")
        if self._at == "connect" and (self._domains or exempt_recipients):
            raise ValueError('at: at "connect" neither sender nor recipient is known: no domains, no exempt_recipients')
        if self._at == "mail_from" and exempt_recipients:
            raise ValueError('at: at "mail_from" no recipient is known: no exempt_recipients')

    def start(self, services: IServices) -> None:
        """
        See ILifecycle.
        """
        self._services = services
        self._clients = Lists(self._zones, services, self._timeout)
        self._names = Lists(self._domains, services, self._timeout)

    def connect(self, session: Session) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Begin to ask about the client. One that has to log in is asked about only if it does not.
        """
        if self._skips(session):
            return None
        if self._at == "connect":
            return self._judge(session, None)
        if session.kind != "submission":
            self._standing(session)
        return None

    def mail_from(self, session: Session, transaction: Transaction) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Begin to ask about the domains.
        """
        if self._at == "connect" or self._skips(session):
            return None
        self._about(session, transaction)
        return self._judge(session, transaction) if self._at == "mail_from" else None

    def rcpt_to(
        self, session: Session, transaction: Transaction, recipient: Recipient
    ) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Judge, once a transaction.
        """
        if self._at != "rcpt_to" or self._skips(session) or self._exempt_recipients(recipient.address):
            return None
        standing = self._about(session, transaction)
        return standing.verdict if standing.judged is transaction else self._judge(session, transaction)

    def on_connection_closed(self, session: Session) -> None:
        """
        Forget the session.
        """
        self._standings.pop(session, None)

    def _skips(self, session: Session) -> bool:
        return session.trusted or self._private(session.peer) or self._exempt(session.peer)

    def _standing(self, session: Session) -> _Standing:
        """
        Give what is known of a client, beginning to ask if nobody was asked yet: a proxy may present another one.
        """
        standing = self._standings.get(session)
        if standing is None or standing.peer != session.peer:
            client = self._clients.ask(session.peer, client_label(session.peer))
            standing = self._standings[session] = _Standing(session.peer, client)
        return standing

    def _about(self, session: Session, transaction: Transaction) -> _Standing:
        standing = self._standing(session)
        if standing.transaction is not transaction:
            standing.transaction = transaction
            standing.domains = self._ask_domains(session, transaction) if self._domains else ()
        return standing

    def _ask_domains(self, session: Session, transaction: Transaction) -> tuple[Inquiry, ...]:
        sender = transaction.reverse_path.domain if transaction.reverse_path is not None else ""
        labels = [domain_label(domain, self._domains) for domain in (sender, session.name)]
        return tuple([self._names.ask(label, label) for label in dict.fromkeys(labels) if label])

    def _judge(self, session: Session, transaction: Transaction | None) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Judge at once if everything is known, and in a coroutine if not.
        """
        standing = self._standing(session)
        inquiries = (standing.client, *standing.domains)
        if any(inquiry.pending for inquiry in inquiries):
            return self._wait(inquiries, standing, session, transaction)
        hits = [hit for inquiry in inquiries for hit in inquiry.hits()]
        if hits and self._wants_text and total(hits) >= self._threshold:
            return self._wait(inquiries, standing, session, transaction)
        return self._conclude(hits, "", standing, session, transaction)

    async def _wait(
        self, inquiries: tuple[Inquiry, ...], standing: _Standing, session: Session, transaction: Transaction | None
    ) -> MaybeVerdict:
        for inquiry in inquiries:
            await inquiry.wait()
        hits = [hit for inquiry in inquiries for hit in inquiry.hits()]
        text = ""
        if hits and self._wants_text and total(hits) >= self._threshold:
            text = await self._text(_heaviest(hits))
        return self._conclude(hits, text, standing, session, transaction)

    def _conclude(
        self, hits: list[Hit], text: str, standing: _Standing, session: Session, transaction: Transaction | None
    ) -> MaybeVerdict:
        """
        Note who lists the client, and refuse it if that is enough.
        """
        metadata = session.metadata if transaction is None else transaction.metadata
        verdict = None
        if hits:
            noted = metadata.get(NAME, "").split()  # perhaps by another module of this kind
            metadata[NAME] = " ".join(dict.fromkeys([*noted, *[hit.zone.name for hit in hits]]))
            verdict = self._refusal(hits, text, session)
        standing.judged, standing.verdict = transaction, verdict
        return verdict

    def _refusal(self, hits: list[Hit], text: str, session: Session) -> Verdict | None:
        score = total(hits)
        if score < self._threshold or not self._reply:
            return None
        self._services.count("refused")
        worst = _heaviest(hits)
        reply = self._reply.format(peer=session.peer, listed=worst.subject, zone=worst.zone.name, text=text)
        return refuse(reply.rstrip(" :;,-"), f"score {score:g}: {', '.join(map(str, hits))}")

    async def _text(self, hit: Hit) -> str:
        """
        Ask what a list has to say, in one line of ASCII; "" if it says nothing in time.
        """
        found = self._services.lookup(f"{hit.label}.{hit.zone.name}", "TXT")
        if not isinstance(found, Answer):
            try:
                found = await later(found).addTimeout(self._timeout, self._services.clock)
            except LookupTimeout:
                return ""
        text = found.texts[0] if found.found is Found.RECORDS and found.texts else ""
        clean = "".join([character if " " <= character <= "~" else "?" for character in text])
        return clean[:_LONGEST_TEXT]


def _heaviest(hits: list[Hit]) -> Hit:
    """
    Give the list that counts most, the first of several.
    """
    return max(hits, key=lambda hit: hit.zone.weight)


def _threshold(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"threshold: a number greater than 0, not {value!r:.60}")
    return float(value)


def _template(value: object) -> str:
    """
    Read a reply with fields in braces; "" is none: then the lists are only noted.
    """
    template = options.text(value, "reply")
    if not template:
        return ""
    try:
        parts = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
        spelled = template.format(**dict.fromkeys(_FIELDS, "x"))
    except (ValueError, LookupError, AttributeError) as problem:
        raise ValueError(f"reply: {problem}") from None
    if any(field not in _FIELDS or how or conversion for field, how, conversion in parts):
        raise ValueError(f"reply: it may have {{listed}}, {{peer}}, {{zone}} and {{text}}, not {template!r}")
    if Reply.of(spelled).positive:
        raise ValueError(f"reply: a 4yz or 5yz reply, not {template!r}")
    return template
