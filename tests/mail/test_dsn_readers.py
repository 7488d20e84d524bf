"""
Every kind of report of ours, read by other people's parsers: Python's email package and flufl.bounce (of Mailman).
"""

from __future__ import annotations

from email import message_from_bytes
from typing import Final

import attrs
from flufl.bounce import all_failures
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.dsn import delivery_report
from empath.mail.message import Message, RecipientState, Status
from empath.mail.notice import Action, Notice
from empath.mail.reply import Reply
from tests.mail.test_dsn import NOW, QUEUE_ID, REPORTING, address, failed, original, parts, status_groups

SENT: Final = Reply.of("250 2.0.0 Ok: queued as 1234")
AWAY: Final = Reply.of("451 4.4.1 no answer")

KINDS: Final[dict[str, tuple[Action, RecipientState, float | None]]] = {
    "failed": (Action.FAILED, attrs.evolve(failed(), category="bad-mailbox"), None),
    "full": (Action.FAILED, attrs.evolve(failed(reply=Reply.of("552 5.2.2 mailbox full")), category="quota"), None),
    "expired": (Action.FAILED, failed(reply=AWAY, host="", status=Status.EXPIRED), None),
    "delayed": (Action.DELAYED, failed(reply=AWAY, status=Status.RETRY), NOW + 86400.0),
    "untried": (Action.DELAYED, failed(reply=None, host="", status=Status.PENDING), NOW + 86400.0),
    "relayed": (Action.RELAYED, failed(reply=SENT, status=Status.COMPLETED), None),
    "delivered": (Action.DELIVERED, failed(reply=SENT, host="", status=Status.COMPLETED), None),
    "expanded": (
        Action.EXPANDED,
        failed(reply=Reply.of("250 2.1.5 passed on"), host="", status=Status.COMPLETED),
        None,
    ),
}
"""
One of each.
"""


def report(kind: str, message: Message | None = None) -> bytes:
    """
    Make one of these.
    """
    action, state, until = KINDS[kind]
    notices = (Notice(state, action, until),)
    header, body = delivery_report(QUEUE_ID, NOW, message or original(), notices, REPORTING)
    return header + body


class ReaderTests(SynchronousTestCase):
    """
    What others make of our reports.
    """

    def test_every_kind_in_python(self) -> None:
        """
        The email package finds three parts without defects, and the action and status that were meant.
        """
        statuses = {"failed": "5.1.1", "full": "5.2.2", "expired": "4.4.1", "delayed": "4.4.1", "untried": "4.4.7"}
        for kind, (action, state, _) in KINDS.items():
            raw = report(kind)
            self.assertEqual([part.defects for part in parts(raw)], [[], [], []], kind)
            _, told = status_groups(raw)
            self.assertEqual(told["Action"], action.value)
            self.assertEqual(told["Status"], statuses.get(kind, "2.1.5" if kind == "expanded" else "2.0.0"))
            self.assertEqual(told.get("X-Empath-Category", ""), state.category)
            self.assertEqual("Will-Retry-Until" in told, action is Action.DELAYED)

    def test_every_kind_in_flufl_bounce(self) -> None:
        """
        Failures are permanent, delays temporary, and good news is none of both.
        """
        bob = frozenset({b"bob@example.net"})
        for kind, (action, _, _) in KINDS.items():
            temporary, permanent = all_failures(message_from_bytes(report(kind)))
            self.assertEqual(temporary, bob if action is Action.DELAYED else frozenset(), kind)
            self.assertEqual(permanent, bob if action is Action.FAILED else frozenset(), kind)

    def test_several_recipients_in_flufl_bounce(self) -> None:
        """
        Each has its own fate in one report.
        """
        states = [
            attrs.evolve(state, recipient=failed(f"{kind}@example.net").recipient)
            for kind, (_, state, _) in KINDS.items()
        ]
        notices = tuple(
            Notice(state, action, until) for state, (action, _, until) in zip(states, KINDS.values(), strict=True)
        )
        header, body = delivery_report(QUEUE_ID, NOW, original(), notices, REPORTING)
        temporary, permanent = all_failures(message_from_bytes(header + body))
        self.assertEqual(temporary, {b"delayed@example.net", b"untried@example.net"})
        self.assertEqual(permanent, {b"failed@example.net", b"full@example.net", b"expired@example.net"})

    def test_of_mail_in_utf8(self) -> None:
        """
        A report in the form of RFC 6533 has its types, and the address as it is.
        """
        message = original("Subject: größer\r\n".encode())
        envelope = attrs.evolve(message.envelope, parameters={"SMTPUTF8": ""}, reverse_path=address("änn@example.com"))
        for kind in KINDS:
            raw = report(kind, attrs.evolve(message, envelope=envelope))
            self.assertIn(b"report-type=global-delivery-status", raw)
            kinds = [part.get_content_type() for part in message_from_bytes(raw).get_payload()]  # type: ignore[union-attr]
            self.assertEqual(kinds[1], "message/global-delivery-status")
            self.assertIn(kinds[2], ("message/global", "message/global-headers"))
