"""
Metrics: what is counted for whom.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.mail.address import parse_address
from empath.mail.envelope import Envelope
from empath.modules import Attempt, IModule, Message, RecipientState, Reply, Session, Status
from empath.modules.builtin.metrics import LONGEST, MOST_LABELS, MetricsModule
from empath.observe.metrics.modules import MOST_EVENTS
from tests.modules.support import FakeServices, recipient, session, transaction

NO = Reply.of("550 5.7.1 no")


def message(metadata: dict[str, str], sender: str | None = "a@b.example") -> Message:
    """
    Make a message.
    """
    envelope = Envelope(parse_address(sender) if sender else None, (recipient(),))
    return Message("Q1", 0.0, envelope, b"", b"", None, 0, False, metadata)


def attempt(*statuses: Status) -> Attempt:
    """
    Make an attempt that dealt with recipients like these.
    """
    return Attempt(1, 0.0, results=tuple([RecipientState(recipient(), status) for status in statuses]))


class MetricsTests(SynchronousTestCase):
    """
    A module that has started.
    """

    def module(self, **options: Any) -> Any:
        """
        Make one.
        """
        self.services = FakeServices()
        module = MetricsModule(**options)
        module.start(self.services)
        self.assertTrue(verifyObject(IModule, module))
        return module

    def through(self, module: Any, who: Session, sender: str | None = "a@b.example") -> Message:
        """
        Let a session send a message.
        """
        begun = transaction(sender, metadata=dict(who.metadata))
        if hasattr(module, "mail_from"):
            self.assertIsNone(module.mail_from(who, begun))
        sent = message(begun.metadata, sender)
        module.on_message_received(sent)
        return sent

    def test_events(self) -> None:
        """
        Messages received, refusals, and what became of each recipient, at each attempt.
        """
        module = self.module()
        sent = self.through(module, session())
        module.on_smtp_error(session(), NO)
        module.on_delivery_attempt(sent, attempt(Status.COMPLETED, Status.COMPLETED, Status.RETRY, Status.HELD))
        module.on_delivery_attempt(sent, attempt(Status.FAILED, Status.EXPIRED, Status.PENDING))
        self.assertEqual(
            self.services.counted,
            {
                "received:tcp:25": 1,
                "refused:tcp:25": 1,
                "delivered:tcp:25": 2,
                "deferred:tcp:25": 2,
                "failed:tcp:25": 2,
            },
        )

    def test_labels(self) -> None:
        """
        By what the session or other modules know, or by the sender's domain; "none" where nothing is known.
        """
        who = session(login="me", metadata={"customer": "acme"})
        for by, label, refused, null in (
            ("listener", "tcp:25", "tcp:25", "tcp:25"),
            ("login", "me", "me", "me"),
            ("metadata:customer", "acme", "acme", "acme"),
            ("metadata:other", "none", "none", "none"),
            ("sender_domain", "b.example", "none", "<>"),
        ):
            module = self.module(by=by)
            self.through(module, who)
            module.on_smtp_error(who, NO)
            self.assertEqual(list(self.services.counted), [f"received:{label}", f"refused:{refused}"])
            self.services.counted.clear()
            self.through(module, who, None)
            self.assertEqual(list(self.services.counted), [f"received:{null}"])
        module = self.module(by="login")
        self.through(module, session())
        module.on_message_received(message({}))  # one of our own reports
        self.assertEqual(self.services.counted, {"received:none": 2})

    def test_bounded(self) -> None:
        """
        Later labels are "other", long ones are cut, and what nobody can read is "?": memory is bounded.
        """
        module = self.module(by="metadata:x", most=2)
        for value in ("a", "b\n" + "c" * 1000, "d", "a", "e"):
            self.through(module, session(metadata={"x": value}))
        long = "b?" + "c" * (LONGEST - 2)
        self.assertEqual(self.services.counted, {"received:a": 2, f"received:{long}": 1, "received:other": 2})
        self.assertLess(5 * (MOST_LABELS + 1), MOST_EVENTS)

    def test_wrong_options(self) -> None:
        """
        Each is told by its name.
        """
        for wrong, said in (
            ({"by": "weekday"}, "by: listener, login, sender_domain or"),
            ({"by": "metadata:"}, "by: listener"),
            ({"by": 5}, "by: "),
            ({"most": 0}, "most: "),
            ({"most": MOST_LABELS + 1}, "most: "),
        ):
            self.assertTrue(str(self.assertRaises(ValueError, MetricsModule, **wrong)).startswith(said))
