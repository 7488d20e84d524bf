"""
The session and the transaction as the checks and modules that judge them see them.
"""

from __future__ import annotations

from typing import Final

import attrs

from empath.mail.address import Address, canonical_domain
from empath.mail.decision import MOST, Decision, brief
from empath.mail.envelope import Recipient
from empath.mail.expansion import Expanded, wants_success, without_success
from empath.mail.present import Present
from empath.mail.step import Steps
from empath.mail.xtext import original_recipient

MOST_RECIPIENTS: Final = 10_000  # of one message, with those that modules add


@attrs.define(slots=True, eq=False)
class Session:
    """
    One client's connection, from its first byte to its last.

    `peer` is the client's IP address as text (IPv4-mapped IPv6 as IPv4), or "unix". `name` is what it called itself
    in EHLO or HELO, "" before. `protocol` is what `Received` says after `with` ("SMTP", "ESMTP", "ESMTPS" …, RFC 3848).
    `tls` is the protocol's version ("TLSv1.3"), `cipher` its suite, `tls_client_subject` the subject of a client
    certificate that was verified; all "" without. `login` is "" until AUTH, `mechanism` ("PLAIN", RFC 4954) what it
    was last tried with. `trusted` means that relay is allowed by network or login. `metadata` is copied into each
    transaction at MAIL, as are `decisions`, what modules said of the session so far.
    """

    session_id: str
    peer: str
    port: int
    listener: str
    kind: str
    opened: float
    name: str = ""
    protocol: str = "SMTP"
    tls: str = ""
    cipher: str = ""
    tls_client_subject: str = ""
    login: str = ""
    mechanism: str = ""
    trusted: bool = False
    metadata: dict[str, str] = attrs.field(factory=dict)
    decisions: tuple[Decision, ...] = ()


@attrs.define(slots=True, eq=False)
class Transaction:
    """
    One mail transaction (MAIL to the end of data); it dies with RSET, and becomes a message at the final dot.

    `declared_size` is what SIZE= promised in bytes, 0 without it. `parameters` are those of MAIL that count: what an
    untrusted client asks for and does not get (priority, later release) is not among them.

    A module may change `reverse_path`, `recipients`, `metadata`, `priority` (from -9 to 9, RFC 6710) and `release`
    (when delivery may begin, in seconds since the epoch, 0.0 for at once, RFC 4865), and call what is below. `accepted`
    counts the RCPT commands that were accepted, whatever became of their recipients. `held` is why the message is to
    be held, "" if it is not. `routes` tells, by recipient, the name of the route it is redirected to; None as the key
    stands for all others. `expanded` are the recipients that became several, and whose sender is to hear of it. `steps`
    takes what reception does step by step, where that is traced.
    """

    queue_id: str
    started: float
    reverse_path: Address | None
    parameters: dict[str, str]
    recipients: list[Recipient] = attrs.field(factory=list)
    metadata: dict[str, str] = attrs.field(factory=dict)
    declared_size: int = 0
    release: float = 0.0
    priority: int = 0
    accepted: int = 0
    held: str = ""
    routes: dict[Address | None, str] | None = None
    decisions: tuple[Decision, ...] = ()
    expanded: list[Expanded] | None = None
    steps: Steps | None = None
    _rewritten: dict[Address, tuple[Recipient, ...]] | None = None
    _present: Present | None = attrs.field(default=None, init=False, repr=False)

    def hold(self, why: str) -> None:
        """
        Keep the message in the spool, undelivered, until an operator releases it.
        """
        self.held = brief(why) or "held by a module"

    def redirect(self, route: str, recipient: Recipient | None = None) -> None:
        """
        Deliver as `[delivery.domains."<route>"]` says instead of by the recipients' own domains: to `recipient`, or to
        all for which nothing else was said. A route that is not configured is a domain like any other; ValueError for
        what could be none.
        """
        name = canonical_domain(route)
        self.routes = {**(self.routes or {}), None if recipient is None else recipient.address: name}

    def rewrite(self, recipient: Recipient, *addresses: Address) -> None:
        """
        Deliver to `addresses` instead of to `recipient`; to none of them drops it. At RCPT it counts once the recipient
        is accepted.

        Each new recipient keeps the parameters of RCPT, with the original one as its ORCPT if there was none
        (RFC 3461 §5.2.3), and the route that the original one was redirected to. Who is a recipient already gets no
        second copy. Where they are several, a word on success is not asked of them: the sender hears that the original
        one was expanded (§5.2.7).
        """
        parameters = recipient.parameters
        several = len(addresses) > 1 and wants_success(parameters)
        if several:
            parameters = without_success(parameters)
        if "ORCPT" not in parameters:
            parameters = {**parameters, "ORCPT": original_recipient(recipient.address.text)}
        new = tuple(Recipient(address, parameters) for address in addresses)
        at = self._place_of(recipient)
        if at is None:
            self._rewritten = {**(self._rewritten or {}), recipient.address: new}
            return
        if several:
            self._expand(recipient, new)
        self._route_along(recipient, new)
        once = self._caught_up().missing(new, self.recipients[at])
        self._put(at, at + 1, once)

    def becomes(self, recipient: Recipient) -> tuple[Recipient, ...]:
        """
        Tell what a recipient that is being judged was rewritten to, itself if it was not.
        """
        return (recipient,) if self._rewritten is None else self._rewritten.get(recipient.address, (recipient,))

    def accept(self, recipient: Recipient, most: int = MOST_RECIPIENTS) -> bool:
        """
        Take in a recipient whose RCPT was accepted, as what it was rewritten to; False, and nothing is taken in, where
        that would make more recipients than `most`.
        """
        if self._rewritten is None:
            self.recipients.append(recipient)
        else:
            new = self._rewritten.pop(recipient.address, (recipient,))
            self._route_along(recipient, new)
            once = self._caught_up().missing(new)
            if len(self.recipients) + len(once) > most:
                return False
            if len(new) > 1 and wants_success(recipient.parameters):
                self._expand(recipient, new)
            self._put(len(self.recipients), len(self.recipients), once)
        self.accepted += 1
        return True

    def note(self, decision: Decision) -> None:
        """
        Keep what a module decided, up to a bound.
        """
        if len(self.decisions) < MOST:
            self.decisions = (*self.decisions, decision)

    def _expand(self, recipient: Recipient, new: tuple[Recipient, ...]) -> None:
        self.expanded = [*(self.expanded or ()), Expanded(recipient, tuple([each.address for each in new]))]

    def _route_along(self, recipient: Recipient, new: tuple[Recipient, ...]) -> None:
        """
        Let the route of a recipient be that of those in its place, unless they have one.
        """
        if self.routes and (route := self.routes.get(recipient.address)) is not None:
            self.routes = {**{each.address: route for each in new}, **self.routes}

    def _place_of(self, recipient: Recipient) -> int | None:
        """
        Find a recipient in the list: this one, else its like.
        """
        if not self._caught_up().has(recipient.address):
            return None
        recipients = self.recipients
        at = next((at for at, each in enumerate(recipients) if each is recipient), None)
        return at if at is not None else next((at for at, each in enumerate(recipients) if each == recipient), None)

    def _caught_up(self) -> Present:
        """
        Tell who is among the recipients, whoever changed the list.
        """
        if self._present is None:
            self._present = Present()
        self._present.catch_up(self.recipients)
        return self._present

    def _put(self, start: int, end: int, new: list[Recipient]) -> None:
        """
        Let others take these places.
        """
        self._caught_up().put(start, end, new)
        self.recipients[start:end] = new
