"""
Tests for empath.deliver.return_paths and empath.deliver.reports, beside those of the whole in tests.test_returns.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.deliver.reports import NO_PLACE, UNREADABLE, ReportReader
from empath.deliver.return_paths import AGAIN, MOST_REMEMBERED, OutgoingPaths
from empath.errors import SpoolError, StorageError
from empath.interfaces import IAgent
from empath.mail.address import Address, parse_address
from empath.mail.attempt import Attempt
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Delivery, Message, RecipientState
from empath.policy.incoming import PLACE, Incoming, Reading
from empath.policy.return_path import ReturnPaths
from empath.policy.seal import Seals
from empath.policy.srs import Srs

PATHS = ReturnPaths(frozenset(), Srs("srs.example.net", Seals(("secret",))))


def made(sender: str, recipient: Address) -> tuple[Message, Delivery]:
    """
    Make a message and its delivery.
    """
    to = Recipient(recipient)
    message = Message("Q", 0.0, Envelope(parse_address(sender), (to,)), b"", None, "file", 0, False)
    return message, Delivery("Q", recipient.domain, 0.0, (RecipientState(to),))


class Storage:
    """
    Records what is put; answers as told.
    """

    def __init__(self) -> None:
        self.put_down: list[str] = []
        self.answer: Any = None

    def put(self, key: str, value: str, expires: float) -> Deferred[None]:
        """
        Keep a text.
        """
        self.put_down.append(value)
        if isinstance(self.answer, Exception):
            return fail(self.answer)
        return self.answer or succeed(None)


class OutgoingPathsTests(SynchronousTestCase):
    """
    What is remembered of rewritten addresses.
    """

    def setUp(self) -> None:
        self.clock, self.storage = Clock(), Storage()
        self.paths = OutgoingPaths(PATHS, self.clock, self.storage)  # type: ignore[arg-type]  # as much of it as is used

    def use(self, name: str = "b") -> None:
        """
        Rewrite an address that does not fit.
        """
        message, delivery = made(f'"{name} "@example.org', parse_address("eve@example.com"))
        recipients = tuple(state.recipient for state in delivery.recipients)
        path = self.paths.return_path(message, delivery, recipients)
        assert path is not None
        self.assertTrue(path.local.startswith("SRSK="))

    def test_stored_once_a_day(self) -> None:
        """
        An address that is used all the time is written down now and then.
        """
        self.use()
        self.use()
        self.assertEqual(len(self.storage.put_down), 1)
        self.clock.advance(AGAIN)
        self.use()
        self.assertEqual(self.storage.put_down, ['"b "@example.org'] * 2)

    def test_memory_is_bounded(self) -> None:
        """
        Of more than some thousand addresses the one used longest ago is written again.
        """
        for number in range(MOST_REMEMBERED + 1):
            self.use(str(number))
        self.use("0")
        self.assertEqual(len(self.storage.put_down), MOST_REMEMBERED + 2)

    def test_trouble(self) -> None:
        """
        What could not be stored is stored with the next use; mail goes out all the same.
        """
        for error in (StorageError("full"), RuntimeError("a bug")):
            self.storage.answer = error
            self.use()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.storage.answer = None
        self.use()
        self.assertEqual(len(self.storage.put_down), 3)

    def test_a_stop_waits(self) -> None:
        """
        What is being written is written.
        """
        waiting: Deferred[None] = Deferred()
        self.storage.answer = waiting
        self.use()
        stopping: Deferred[None] = Deferred.fromCoroutine(self.paths.stop())
        self.assertNoResult(stopping)
        waiting.callback(None)
        self.successResultOf(stopping)


class Unreadable:
    """
    A body that cannot be read.
    """

    closed = False

    def read(self) -> Deferred[bytes]:
        """
        Fail.
        """
        return fail(SpoolError("gone"))

    def close(self) -> None:
        """
        Note it.
        """
        self.closed = True


class ReportReaderTests(SynchronousTestCase):
    """
    What cannot be read.
    """

    def deliver(self, recipient: Address) -> Any:
        """
        Deliver; tells the one outcome.
        """
        self.body: Any = Unreadable()
        reader = ReportReader(
            Incoming(frozenset()),
            "mx.example.org",
            lambda _: self.body,
            Storage(),  # type: ignore[arg-type]  # nobody asks it
            Clock(),
            lambda _: "other",
            lambda _: succeed(None),
            lambda _: None,
        )
        verifyObject(IAgent, reader)
        message, delivery = made("bob@example.org", recipient)
        if recipient.local == "nobody":
            message = Message("Q", 0.0, message.envelope, b"", b"", None, 0, False)
        attempt = Attempt(1, 0.0)
        (outcome,) = self.successResultOf(Deferred.fromCoroutine(reader.deliver(message, delivery, attempt)))
        reader.stop()
        return outcome

    def test_content_that_cannot_be_read(self) -> None:
        """
        It is tried again, and what was opened is closed.
        """
        self.assertIs(self.deliver(Reading(None).address), UNREADABLE)
        self.assertTrue(self.body.closed)

    def test_no_place(self) -> None:
        """
        Mail for somebody else at the place of reports is refused for good.
        """
        self.assertIs(self.deliver(Address("nobody", PLACE, f"nobody@{PLACE}")), NO_PLACE)
