"""
The log lines that life events make, in Postfix's words, so that people and log tools read them as they are used to.

A message costs two lines: one when it is ours, one for each recipient and attempt. Those two go straight to the log
publisher, which saves a third of their cost; they are the only ones for which that counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, Logger, LogLevel

from empath.mail import life
from empath.mail.attempt import Attempt
from empath.mail.message import Message, RecipientState, Status
from empath.mail.notice import Action
from empath.mail.reply import Reply
from empath.mail.traces import attempt_span_of
from empath.observe.life import LifeEvents
from empath.observe.logs.ground_journal import GroundJournal
from empath.observe.logs.lines import Ids, cut
from empath.observe.logs.safety_journal import SafetyJournal, client_of
from empath.observe.logs.site_journal import SiteJournal

_RECEIVED: Final = (
    "{queue_id}: from=<{sender}>, size={size}, nrcpt={nrcpt}, client={client}, helo=<{helo}>, proto={proto}"
)
_RECEIVED_FROM: Final = {  # by whether there was a login, and TLS
    (False, False): _RECEIVED,
    (False, True): f"{_RECEIVED}, tls={{tls}}",
    (True, False): f"{_RECEIVED}, login=<{{login}}>",
    (True, True): f"{_RECEIVED}, login=<{{login}}>, tls={{tls}}",
}
_ATTEMPTED: Final = (
    "{queue_id}: to=<{recipient}>, relay={relay}, delay={delay}, delays={delays}, dsn={dsn}, status={status} ({reply})"
)
_ATTEMPTED_SO: Final = {  # by whether there is a category, and a doubt
    (False, False): _ATTEMPTED,
    (False, True): f"{_ATTEMPTED} possible duplicate",
    (True, False): f"{_ATTEMPTED} category={{category}}",
    (True, True): f"{_ATTEMPTED} category={{category}} possible duplicate",
}
_REFUSED: Final = "{queue_id}: reject: {verb} from {client}: {reply}; proto={proto} helo=<{helo}>"
_REFUSED_SENDER: Final = (
    "{queue_id}: reject: {verb} from {client}: {reply}; from=<{sender}> to=<{recipient}> proto={proto} helo=<{helo}>"
)
_BY_MODULE: Final = " module={decided_by} why=({why})"
_RECEIVE: Final = "empath.receive"
_OUR_OWN: Final = frozenset({"", "core", "relay", "senders", "chain"})  # who decides without being a module
_WORDS: Final = {status: status.value for status in Status} | {
    Status.COMPLETED: "sent",
    Status.RETRY: "deferred",
    Status.FAILED: "bounced",
    Status.EXPIRED: "expired",
}

_REPORTS: Final = {
    Action.FAILED: "sender non-delivery notification",
    Action.DELAYED: "sender delay notification",
    Action.RELAYED: "sender delivery status notification",
    Action.EXPANDED: "sender delivery status notification",
    Action.DELIVERED: "sender delivery status notification",
}


class Journal:
    """
    Listens to life events and logs them, under the name of the room in which they happened.

    `publish` is the log publisher (Twisted's `globalLogPublisher`), `shows` tells whether a level is
    written now where a namespace says it.
    """

    __slots__ = ("_clock", "_publish", "_receive", "_report", "_shows")

    def __init__(self, clock: IReactorTime, publish: ILogObserver, shows: Callable[[str, str], bool]) -> None:
        self._clock = clock
        self._publish = publish
        self._shows = shows
        self._receive = Logger(_RECEIVE, observer=publish)
        self._report = Logger("empath.report", observer=publish)

    def listen(self, events: LifeEvents) -> None:
        """
        Subscribe to all that makes a line.
        """
        SiteJournal(self._publish).listen(events)
        SafetyJournal(self._publish).listen(events)
        GroundJournal(self._publish).listen(events)
        events.subscribe(life.ConnectionOpened, self._opened)
        events.subscribe(life.ConnectionClosed, self._closed)
        events.subscribe(life.CommandAnswered, self._refused)
        events.subscribe(life.MessageDiscarded, self._discarded)
        events.subscribe(life.MessageReceived, self._received)
        events.subscribe(life.AttemptEnded, self._attempted)
        events.subscribe(life.ReportQueued, self._reported)
        events.subscribe(life.ReportDropped, self._dropped)

    def _received(self, event: life.MessageReceived) -> None:
        message, session = event.message, event.session
        envelope = message.envelope
        login, tls = ("", "") if session is None else (session.login, session.tls)
        self._publish(
            {
                "queue_id": message.queue_id,
                "sender": _path(envelope.reverse_path),
                "size": message.size,
                "nrcpt": len(envelope.recipients),
                "client": "local" if session is None else client_of(session),
                "helo": "" if session is None else session.name,
                "proto": "internal" if session is None else session.protocol,
                "login": login,
                "tls": tls,
                "log_ids": _ids_of(message),
                "log_format": _RECEIVED_FROM[bool(login), bool(tls)],
                "log_level": LogLevel.info,
                "log_namespace": _RECEIVE,
                "log_time": self._clock.seconds(),
            }
        )

    def _attempted(self, event: life.AttemptEnded) -> None:
        now, attempt, received = self._clock.seconds(), event.attempt, event.delivery.received
        relay, trace = _relay(attempt), _ids_of_attempt(event)
        for state in event.results:
            reply, sent = state.reply, state.status is Status.COMPLETED
            self._publish(
                {
                    "queue_id": event.message.queue_id,
                    "recipient": state.recipient.address.text,
                    "relay": relay or ("local" if sent else "none"),
                    "delay": round(max(attempt.ended - received, 0.0), 2),
                    "delays": _delays(attempt, received),
                    "dsn": "4.0.0" if reply is None else reply.status,
                    "status": "sent" if sent else _WORDS[state.status],
                    "reply": cut(str(reply)) if sent else _said(state),
                    "attempt": attempt.number,
                    "tls": attempt.tls,
                    "security": attempt.security,
                    "site": attempt.site,
                    "category": state.category,
                    "doubtful": state.doubtful,
                    "log_ids": trace,
                    "log_format": _ATTEMPTED_SO[bool(state.category), state.doubtful],
                    "log_level": LogLevel.info,
                    "log_namespace": "empath.deliver",
                    "log_time": now,
                }
            )

    def _opened(self, event: life.ConnectionOpened) -> None:
        if self._shows("debug", _RECEIVE):
            session = event.session
            self._receive.debug(
                "connect from {client}: session {session_id} on {listener}",
                client=client_of(session),
                session_id=session.session_id,
                listener=session.listener,
            )

    def _closed(self, event: life.ConnectionClosed) -> None:
        if self._shows("debug", _RECEIVE):
            self._receive.debug(
                "disconnect from {client}: session {session_id} ended by {reason} after {seconds:.2f} s",
                client=client_of(event.session),
                session_id=event.session.session_id,
                reason=event.reason,
                seconds=event.seconds,
            )

    def _refused(self, event: life.CommandAnswered) -> None:
        session, transaction = event.session, event.transaction
        fields = {
            "verb": event.verb or "UNKNOWN",
            "client": client_of(session),
            "reply": cut(str(event.reply)),
            "proto": session.protocol,
            "helo": session.name,
        }
        level = LogLevel.warn if _own_trouble(event.reply) else LogLevel.info
        by_module = ""
        if event.decided_by not in _OUR_OWN:
            by_module = _BY_MODULE
            fields |= {"decided_by": event.decided_by, "why": cut(event.why)}
        if transaction is None:
            self._receive.emit(level, _REFUSED + by_module, queue_id="NOQUEUE", **fields)
            return
        fields["sender"] = _path(transaction.reverse_path)
        fields["recipient"] = _path(event.recipient)
        self._receive.emit(level, _REFUSED_SENDER + by_module, queue_id=transaction.queue_id, **fields)

    def _discarded(self, event: life.MessageDiscarded) -> None:
        message = event.message
        self._receive.info(
            "{queue_id}: discarded: from=<{sender}>, size={size}, nrcpt={nrcpt}, client={client}, module={decided_by} "
            "why=({why})",
            queue_id=message.queue_id,
            sender=_path(message.envelope.reverse_path),
            size=message.size,
            nrcpt=len(message.envelope.recipients),
            client=client_of(event.session),
            decided_by=event.decided_by,
            why=cut(event.why),
            log_ids=_ids_of(message),
        )

    def _reported(self, event: life.ReportQueued) -> None:
        self._report.info(
            "{queue_id}: {what}: {report_id}",
            queue_id=event.message.queue_id,
            what=_REPORTS[event.action],
            report_id=event.report.queue_id,
            log_ids=_ids_of(event.message),
        )

    def _dropped(self, event: life.ReportDropped) -> None:
        self._report.warn(
            "{queue_id}: no report to <{sender}>: {reason}",
            queue_id=event.message.queue_id,
            sender=_path(event.message.envelope.reverse_path),
            reason=event.reason,
            log_ids=_ids_of(event.message),
        )


def _ids_of(message: Message) -> Ids | None:
    """
    Give the ids of a message's trace and its first span; None where it has none.
    """
    return (message.trace[3:35], message.trace[36:52]) if message.trace else None


def _ids_of_attempt(event: life.AttemptEnded) -> Ids | None:
    """
    Give the ids of an attempt's own span; None where its message has no trace.
    """
    message, ids = event.message, event.attempt.ids
    if ids is not None or not message.trace:
        return ids
    return message.trace[3:35], attempt_span_of(message, event.delivery, event.attempt.number)


def _path(address: object) -> str:
    return "" if address is None else str(address)


def _own_trouble(reply: Reply) -> bool:
    """
    Tell whether we refuse for now because of our own system (x.3.z, RFC 3463 §3.4): the operator should look.
    """
    return reply.transient and reply.status.startswith("4.3.")


def _relay(attempt: Attempt) -> str:
    """
    Say where an attempt went, "" if it came to no host; a UNIX socket has no port.
    """
    port = f":{attempt.port}" if attempt.port else ""
    return attempt.host and f"{attempt.host}[{attempt.address}]{port}"


def _delays(attempt: Attempt, received: float) -> str:
    """
    Tell a/b/c/d: seconds before this attempt, in look-ups, until the connection could be used, for the transaction.
    """
    started = attempt.started
    resolved = attempt.resolved or started
    usable = attempt.secured or attempt.connected or resolved
    queued, ended = max(started - received, 0.0), attempt.ended or usable
    return f"{queued:.2f}/{resolved - started:.2f}/{usable - resolved:.2f}/{ended - usable:.2f}"


def _said(state: RecipientState) -> str:
    reply = state.reply
    if reply is None:
        return "no attempt was made"
    return cut(f"host {state.host} said: {reply}" if state.host else str(reply))
