"""
`metrics`: counts mail by what it belongs to: a login, a listener, a sender's domain, or what metadata says.

Fatal: an unknown `by`. Nothing is retried or ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from zope.interface import implementer

from empath.modules import Attempt, IModule, IServices, Message, Reply, Session, Status, Transaction, options

BY: Final = ("listener", "login", "sender_domain")
METADATA: Final = "metadata:"
NONE: Final = "none"
NULL: Final = "<>"
OTHER: Final = "other"
LONGEST: Final = 60  # characters of a label
MOST_LABELS: Final = 150
EVENTS: Final[Mapping[Status, str]] = MappingProxyType(
    {
        Status.COMPLETED: "delivered",
        Status.FAILED: "failed",
        Status.EXPIRED: "failed",
        Status.RETRY: "deferred",
        Status.PENDING: "deferred",
    }
)


@implementer(IModule)
class MetricsModule:
    """
    Counts received messages, refusals, and recipients delivered, deferred and failed, each as "event:label" in
    `empath_module_events_total`. The label comes from `by`; the first `most` of them keep their names, all further ones
    are "other".

    What only the session knows, its login and listener, is noted in the message's metadata, so that it is known at
    delivery, after restarts too.
    """

    name = "metrics"

    def __init__(self, by: object = "listener", most: object = 50) -> None:
        self._by = by = options.text(by, "by")
        if not (by in BY or (by.startswith(METADATA) and by != METADATA)):
            raise ValueError(f'by: {", ".join(BY)} or "{METADATA}KEY", not {by!a:.60}')
        self._most = options.integer(most, "most", 1, MOST_LABELS)
        self._labels: set[str] = set()
        self._key = by.removeprefix(METADATA) if by.startswith(METADATA) else f"metrics.{by}"
        if by in ("listener", "login"):
            self.mail_from = self._note

    def start(self, services: IServices) -> None:
        """
        Take what counts.
        """
        self._count = services.count

    def on_message_received(self, message: Message) -> None:
        """
        Count a message.
        """
        self._add("received", self._of_message(message))

    def on_smtp_error(self, session: Session, reply: Reply) -> None:
        """
        Count a refusal; a session as such has no sender.
        """
        self._add("refused", self._of_session(session))

    def on_delivery_attempt(self, message: Message, attempt: Attempt) -> None:
        """
        Count the recipients that the attempt dealt with.
        """
        label = self._of_message(message)
        for state in attempt.results:
            event = EVENTS.get(state.status)
            if event is not None:
                self._add(event, label)

    def _note(self, session: Session, transaction: Transaction) -> None:
        """
        Let the message remember what its session is.
        """
        transaction.metadata[self._key] = self._of_session(session)

    def _of_session(self, session: Session) -> str:
        match self._by:
            case "listener":
                return session.listener
            case "login":
                return session.login
            case "sender_domain":
                return NONE
            case _:
                return session.metadata.get(self._key, NONE)

    def _of_message(self, message: Message) -> str:
        if self._by != "sender_domain":
            return message.metadata.get(self._key, NONE)
        sender = message.envelope.reverse_path
        return NULL if sender is None else sender.domain

    def _add(self, event: str, label: str) -> None:
        label = label[:LONGEST] or NONE
        if not label.isprintable():
            label = "".join([c if c.isprintable() else "?" for c in label])
        if label not in self._labels:
            if len(self._labels) < self._most:
                self._labels.add(label)
            else:
                label = OTHER
        self._count(f"{event}:{label}")
