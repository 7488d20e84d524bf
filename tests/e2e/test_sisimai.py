"""
Our reports, read by Sisimai, which programs use to find out why mail came back; and what both make of the same replies.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import unittest
from pathlib import Path
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.dsn import delivery_report
from empath.mail.message import Status
from empath.mail.notice import Action, Notice
from empath.mail.reply import Reply
from tests.mail.test_dsn import NOW, QUEUE_ID, REPORTING, failed, original
from tests.mail.test_dsn_readers import KINDS, report
from tests.policy.test_bounce import replies

PERL: Final = shutil.which("perl") or ""
READ: Final = "print Sisimai->dump($ARGV[0], delivered => 1) // '[]'"
BOUND: Final = 120.0
ALIKE: Final = {  # what Sisimai calls the clear ones; "filtered": it was the recipient, no more is known
    "bad-mailbox": {"userunknown", "filtered"},
    "quota": {"mailboxfull"},
    "message-size": {"mesgtoobig", "exceedlimit"},
    "inactive-mailbox": {"suspend", "hasmoved", "filtered"},
}


def _there_is() -> bool:
    return (
        bool(PERL) and not subprocess.run([PERL, "-MSisimai", "-e", "1"], capture_output=True, check=False).returncode
    )


@unittest.skipUnless(_there_is(), "Sisimai (libsisimai-perl) is not installed")
class SisimaiTests(SynchronousTestCase):
    """
    What Sisimai finds in our reports.
    """

    def read(self, *reports: bytes) -> list[dict[str, Any]]:
        """
        Have them read as a mailbox.
        """
        mailbox = Path(self.mktemp())
        mailbox.write_bytes(
            b"".join(
                b"From MAILER-DAEMON Tue Nov 14 22:20:00 2023\n" + each.replace(b"\r\n", b"\n") + b"\n"
                for each in reports
            )
        )
        command = [PERL, "-MSisimai", "-e", READ, str(mailbox)]
        ran = subprocess.run(command, check=True, capture_output=True, timeout=BOUND)
        found: list[dict[str, Any]] = json.loads(ran.stdout)
        return found

    def test_every_kind(self) -> None:
        """
        Recipient, action, status, reply code and reason are what was meant.
        """
        reasons = {"failed": "userunknown", "full": "mailboxfull", "expired": "expired"}
        for kind, (action, state, _) in KINDS.items():
            if kind == "untried":
                continue  # without a reply there is no reason for it to find
            (found,) = self.read(report(kind))
            self.assertEqual((found["recipient"], found["action"]), ("bob@example.net", action.value), kind)
            assert state.reply is not None
            self.assertEqual(found["replycode"], str(state.reply.code))
            if action is Action.FAILED:
                self.assertEqual(found["reason"], reasons[kind])
            elif action is not Action.DELAYED:
                self.assertEqual(found["reason"], "delivered")

    def test_the_same_replies(self) -> None:
        """
        Where a reply is clear, Sisimai reads most of our reports on it as we do.
        """
        table = [(category, text) for category, text in replies() if category in ALIKE and text[0] == "5"]
        reports = []
        for number, (_, text) in enumerate(table):
            state = failed(f"n{number}@example.net", Reply.heard(int(text[:3]), [text[4:]]), status=Status.FAILED)
            reports.append(
                b"".join(delivery_report(QUEUE_ID, NOW, original(), (Notice(state, Action.FAILED),), REPORTING))
            )
        found = {each["recipient"]: each["reason"] for each in self.read(*reports)}
        self.assertEqual(len(found), len(table))
        agreed = sum(found[f"n{at}@example.net"] in ALIKE[category] for at, (category, _) in enumerate(table))
        self.assertGreater(agreed / len(table), 0.85)  # it knows fewer texts, and believes 5.7.1 more
