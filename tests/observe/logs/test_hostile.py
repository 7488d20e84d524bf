"""
What peers choose reaches no log unescaped: neither as text nor as JSON, through any event that makes a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.mail import life, life_safety
from empath.mail.answer import Answer, Found
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import RecipientState, Status
from empath.mail.notice import Action
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.observe.life import LifeEvents
from empath.observe.logs.journal import Journal
from empath.observe.logs.lines import make_observer
from tests.observe import made

HOSTILE = (
    "a\r\n2026-11-21T10:00:00.000Z info deliver: forged",
    "\x1b[2J\x1b]0;title\x07",
    "\x00\x08\x7f\x85\x9b31m",
    "{queue_id} {log_time!r:>99999999} %s {",
    "\u2028\u2029\u202e\u2066\ufeff\ue000",
    "\udc80\ud800",
    '"}\n{"level":"critical","event":"forged',
    "\t\v\f",
)


def events(text: str) -> Iterator[life.LifeEvent]:
    """
    Make every event that peers can influence, with the text wherever they might get it to.
    """
    session = Session(text, text, 1, text, text, 0.0, text, text, text, text, text, text, metadata={text: text})
    recipient = Recipient(made.address(text + "@" + text), {text: text})
    envelope = Envelope(made.address(text), (recipient,), {text: text})
    message = attrs.evolve(made.message(), envelope=envelope, metadata={text: text}, trace=text)
    transaction = Transaction(made.QUEUE_ID, 0.0, made.address(text), {text: text}, [recipient])
    reply = Reply.heard(550, [text, text])
    yield life.ConnectionOpened(session)
    yield life.ConnectionClosed(session, 1.0, text)
    for each in (None, transaction):
        yield life.CommandAnswered(session, text, reply, each, recipient.address)
        yield life.CommandAnswered(session, "AUTH", Reply.of("535 5.7.8 no"), each)
    yield life.MessageReceived(message, session, 1.0)
    yield life.MessageReceived(message, None, 1.0)
    timing = made.attempt(host=text, address=text, tls=text, cipher=text)
    for status in (Status.COMPLETED, Status.RETRY, Status.FAILED, Status.EXPIRED):
        states = tuple(RecipientState(recipient, status, reply, host, category=text) for host in ("", text))
        ended = made.attempt_ended(*states, status=status, domain=text, timing=timing)
        yield life.AttemptEnded(message, ended.delivery, timing, states)
    for action in Action:
        yield life.ReportQueued(message, message, action)
    yield life.ReportDropped(message, text)
    yield life.LookedUp(Answer(text, text, Found.FAILED, detail=text), 0.1, False)
    yield life_safety.DeliveryManaged(text, text, text, text)
    yield life_safety.SenderStopped(text, True, text)
    yield life_safety.SenderStopped(text, False, text)
    yield life_safety.DeliveryFrozen(text, True)
    yield life_safety.CopyRefused(text, (made.address(text),), session)
    yield life_safety.BounceReceived(made.address(text), text, text, text, text, text)
    for address in (None, made.address(text)):
        yield life_safety.ComplaintReceived(address, text, text)
    for suppressed in (True, False):
        yield life_safety.AddressSuppressed(text, suppressed, text)
    yield life.GroupCommitted(1, 0.1, text)
    yield life.CleanupGivenUp(text, 3, 0.0)


class HostileTests(SynchronousTestCase):
    """
    Journal and observer together, at the level that tells everything.
    """

    def written(self, text: str, form: Literal["text", "json"]) -> list[str]:
        """
        Tell the records that all events make.
        """
        records: list[str] = []
        observer = make_observer(schema.Log(level="debug", format=form), records.append)
        listened = LifeEvents()
        Journal(MemoryReactorClock(), observer, observer.shows).listen(listened)
        count = 0
        for event in events(text):
            listened.emit(event)
            self.assertGreater(len(records), count, event)
            count = len(records)
        room = Logger("empath.receive", observer=observer)
        room.warn("session {session}: {peer} said {what}", session=text, peer=text, what=text)
        return records

    def check(self, text: str) -> None:
        """
        Each record is one line that can be printed; JSON is what it was before, and ASCII.
        """
        for record in self.written(text, "text"):
            self.assertTrue(record[:-1].isprintable() and record.endswith("\n"), record)
        for record in self.written(text, "json"):
            self.assertTrue(record[:-1].isascii() and record[:-1].isprintable() and record.endswith("\n"), record)
            told = json.loads(record)
            self.assertNotEqual(told["event"], "forged")
            self.assertIn(told["level"], ("debug", "info", "warn", "error", "critical"))
            self.assertIn(told["namespace"].partition(".")[0], ("empath",))

    def test_known_tricks(self) -> None:
        """
        Line ends, terminal sequences, formats, direction overrides, surrogates, quotes.
        """
        for text in HOSTILE:
            self.check(text)
        self.assertEqual(self.flushLoggedErrors(), [])

    @settings(max_examples=30, deadline=None)
    @given(st.text(st.characters(), min_size=1, max_size=20))
    def test_any_text(self, text: str) -> None:
        """
        Whatever Unicode has.
        """
        self.check(text)
