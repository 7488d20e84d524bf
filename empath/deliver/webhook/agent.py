"""
Posts mail to an application: one request for all recipients of a delivery, or for as many as a header has room for.

Fatal: nothing. Retried: a server that is away, slow or in trouble, what it asks to come again for, a redirect, and
content that cannot be read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from empath.config.schema import Delivery as Section
from empath.deliver.described import compact, delivery_id, description, envelope_text
from empath.deliver.streaming import UNREADABLE, OpenBody
from empath.deliver.visits import CUT_IN_DOUBT, CUT_SHORT
from empath.deliver.webhook.answering import outcomes_of
from empath.deliver.webhook.payload import InJson
from empath.deliver.webhook.signing import key_of, signature
from empath.deliver.webhook.traced import Told, in_http_step, trace_fields
from empath.deliver.whole import Whole
from empath.errors import SpoolError
from empath.interfaces import IAgent
from empath.mail.attempt import Attempt
from empath.mail.envelope import Recipient
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Outcome, Scope, TransientFailure
from empath.mail.reply import Reply
from empath.net.web_answer import GivenUp, Patience
from empath.net.web_body import Body
from empath.net.web_pool import PORTS, WebPool
from empath.policy.route import Route

log = Logger()

LONGEST_HEADER: Final = 4096  # octets of an envelope; servers take 8 KiB of header or more
NO_URL: Final = TransientFailure(Reply(451, "4.3.5", ("no webhook is configured",)), Scope.HOST)


@implementer(IAgent)
class WebhookAgent:
    """
    Posts to the URL that a domain's route names, by `web`. `open_body` reads stored content, `find_route` tells a
    domain's route. `propagates`: a message that has a trace tells of it, in header fields of the request.
    """

    propagates = False

    def __init__(
        self,
        clock: IReactorTime,
        web: WebPool,
        open_body: OpenBody,
        find_route: Callable[[str], Route],
        section: Section,
    ) -> None:
        self._clock = clock
        self._web = web
        self._open_body = open_body
        self._find_route = find_route
        self.prepare(section)()

    def prepare(self, section: Section) -> Callable[[], None]:
        """
        Read a new section, and give what has it used.
        """
        timeouts = section.timeouts
        patience = Patience(timeouts.connect, timeouts.data_block, timeouts.data_termination)

        def use() -> None:
            self._patience = patience
            self._most = section.max_recipients_per_transaction

        return use

    async def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> tuple[Outcome, ...]:
        """
        See `IAgent`. A failure that is the server's speaks for what was not posted yet. Once anybody has the mail, or
        may have it, a cancelled delivery tells so.
        """
        route = self._find_route(delivery.domain)
        recipients = [state.recipient for state in delivery.open_recipients]
        if not route.url:
            return (NO_URL,) * len(recipients)
        parts = urlsplit(route.url)
        attempt.host, attempt.port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        attempt.security = "verified" if parts.scheme == "https" else ""
        outcomes: list[Outcome] = []
        for batch in self._batches(message, recipients, route):
            if _over(outcomes):
                break
            try:
                outcomes += await self._post(route, message, delivery, batch, attempt)
            except CancelledError as cancelled:
                doubtful = isinstance(cancelled, GivenUp) and cancelled.doubtful
                if not (outcomes or doubtful):
                    raise
                outcomes += [CUT_IN_DOUBT if doubtful else CUT_SHORT] * len(batch)
                outcomes += [CUT_SHORT] * (len(recipients) - len(outcomes))
        outcomes += outcomes[-1:] * (len(recipients) - len(outcomes))
        attempt.ended = self._clock.seconds()
        return tuple(outcomes)

    def stop(self) -> Awaitable[None] | None:
        """
        The connections are the client's.
        """
        return None

    def _batches(
        self, message: Message, recipients: Sequence[Recipient], route: Route
    ) -> Iterator[Sequence[Recipient]]:
        """
        Divide the recipients: where the envelope is a header field, there is only so much room for it.
        """
        while recipients:
            batch = recipients[: self._most]
            while route.format == "raw" and len(batch) > 1 and self._too_long(message, batch):
                batch = batch[: len(batch) // 2]
            yield batch
            recipients = recipients[len(batch) :]

    def _too_long(self, message: Message, batch: Sequence[Recipient]) -> bool:
        return len(envelope_text(message.envelope, batch)) > LONGEST_HEADER

    async def _post(
        self, route: Route, message: Message, delivery: Delivery, batch: Sequence[Recipient], attempt: Attempt
    ) -> tuple[Outcome, ...]:
        posting = self._ask(route, message, delivery, batch, attempt)
        steps = attempt.steps
        _, outcomes = await (posting if steps is None else in_http_step(steps, self._clock, route.url, posting))
        return outcomes

    async def _ask(
        self, route: Route, message: Message, delivery: Delivery, batch: Sequence[Recipient], attempt: Attempt
    ) -> Told:
        """
        Post to some recipients; tells what was answered, and what that means for each.
        """
        envelope = envelope_text(message.envelope, batch)
        raw = Whole(message, self._open_body)
        body: Body = raw if route.format == "raw" else _in_json(raw, delivery, envelope, attempt.number)
        try:
            fields = [*route.headers, *await self._fields(route, message, envelope, body, attempt)]
            if self.propagates and message.trace:
                fields += trace_fields(message, delivery, attempt, route.headers)
            answer = await self._web.request("POST", route.url, fields, body, self._patience)
        except SpoolError as fault:
            log.error("{queue_id}: content cannot be read: {fault}", queue_id=message.queue_id, fault=fault)
            return None, (UNREADABLE,) * len(batch)
        attempt.address = answer.address
        attempt.sent = now = self._clock.seconds()
        return answer, outcomes_of(answer, batch, attempt.host, now)

    async def _fields(
        self, route: Route, message: Message, envelope: str, body: Body, attempt: Attempt
    ) -> list[tuple[str, str]]:
        """
        Make the header fields of a request.
        """
        identity, timestamp = delivery_id(message, envelope), int(self._clock.seconds())
        fields = [("webhook-id", identity), ("webhook-timestamp", str(timestamp))]
        if route.secret:
            fields.append(("webhook-signature", await signature(key_of(route.secret), identity, timestamp, body)))
        if route.format != "raw":
            return [*fields, ("content-type", "application/json")]
        return [
            *fields,
            ("content-type", "message/rfc822"),
            ("x-empath-envelope", envelope),
            ("x-empath-queue-id", message.queue_id),
            ("x-empath-attempt", str(attempt.number)),
        ]


def _over(outcomes: list[Outcome]) -> bool:
    """
    Tell whether the last failure speaks for the rest.
    """
    last = outcomes[-1] if outcomes else None
    return isinstance(last, TransientFailure) and (last.scope is Scope.HOST or last is UNREADABLE or last is CUT_SHORT)


def _in_json(raw: Whole, delivery: Delivery, envelope: str, attempt: int) -> Body:
    """
    Describe a mail in JSON; its content comes last, so that it can be read while it comes.
    """
    told: dict[str, Any] = description(raw.message, delivery, envelope, attempt)
    begin = compact(told)[:-1] + ',"content":"'
    return InJson(raw, begin.encode("ascii"), b'"}')
