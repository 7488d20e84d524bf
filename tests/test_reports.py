"""
Reports of the whole service: days pass, aliases become several, receivers refuse, and a process dies in between.
"""

from __future__ import annotations

from email import message_from_bytes
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.life import AttemptEnded, ReportQueued
from empath.mail.notice import Action
from empath.testing import MockSmtpServer, Mta

CONTENT = b"Subject: hi\r\nMessage-ID: <one@sender.example>\r\n\r\nhello\r\n"
RELAY = '[relay]\nnetworks = ["192.0.2.0/24"]\n'
ALIASES = """
[[modules]]
factory = "alias"
options = { aliases = { "all@away.example" = ["bob@away.example", "cid@away.example"] } }
"""


def fields(content: bytes) -> list[dict[str, str]]:
    """
    Read the groups of fields for programs.
    """
    parts: Any = message_from_bytes(content).get_payload()
    return [dict(group.items()) for group in parts[1].get_payload()]


class ReportTests(SynchronousTestCase):
    """
    Tests for what senders hear.
    """

    def begin(self, config: str = "") -> Mta:
        mta = Mta(config=RELAY + config)
        self.addCleanup(lambda: mta.stop())
        self.home = mta.peer("sender.example")
        return mta

    def told(self) -> list[tuple[str, str]]:
        """
        Tell action and recipient of each report that the sender got.
        """
        found = []
        for message in self.home.messages:
            self.assertEqual(message.sender, "")
            for group in fields(message.content)[1:]:
                found.append((group["Action"], group["Final-Recipient"].partition("; ")[2]))
        return found

    def test_delayed_once_over_days_and_crashes(self) -> None:
        """
        A receiver that is away for five days: its sender hears once after four hours that mail waits, though the
        process dies again and again, and at the end that it came back.
        """
        mta = self.begin()
        mta.peer("away.example", MockSmtpServer().with_rcpt_to_response(451, "4.3.0 later"))
        mta.client().send("ann@sender.example", ["bob@away.example"], CONTENT)
        mta.advance(hours=3, minutes=59)
        self.assertEqual(self.told(), [])
        mta.crash()
        mta.start()
        mta.advance(minutes=6)
        self.assertEqual(self.told(), [("delayed", "bob@away.example")])
        report = fields(self.home.messages[0].content)[1]
        self.assertEqual((report["Status"], report["Diagnostic-Code"]), ("4.3.0", "smtp; 451 4.3.0 later"))
        for _ in range(4):
            mta.crash()
            mta.start()
            mta.advance(hours=6)
        self.assertEqual(len(self.told()), 1)
        mta.advance(days=5)
        self.assertEqual(self.told(), [("delayed", "bob@away.example"), ("failed", "bob@away.example")])

    def test_an_alias_that_is_several(self) -> None:
        """
        Who asked for success hears that the address was expanded, and nothing of those that it stands for.
        """
        mta = self.begin(ALIASES)
        away = mta.peer("away.example")
        client = mta.client()
        client.connect()
        client.ehlo()
        client.command("MAIL FROM:<ann@sender.example> ENVID=QQ1")
        client.command("RCPT TO:<all@away.example> NOTIFY=SUCCESS,FAILURE")
        client.command("DATA")
        client.write(CONTENT + b".\r\n")
        self.assertIn("queued as", client.reply())
        mta.advance(2)
        self.assertEqual(sorted(away.messages[0].recipients), ["bob@away.example", "cid@away.example"])
        self.assertEqual(self.told(), [("expanded", "all@away.example")])
        message, recipient = fields(self.home.messages[0].content)
        self.assertEqual((message["Original-Envelope-Id"], recipient["Status"]), ("QQ1", "2.1.5"))
        (queued,) = [event for event in mta.events if isinstance(event, ReportQueued)]
        self.assertIs(queued.action, Action.EXPANDED)

    def test_categories(self) -> None:
        """
        What a failure is, is in the report and in what listeners are told; an operator's patterns count first.
        """
        mta = self.begin('[[delivery.bounces.patterns]]\nmatch = "code 4711"\ncategory = "quota"\n')
        mta.peer("full.example", MockSmtpServer().with_rcpt_to_response(550, "5.7.1 sorry, code 4711"))
        mta.peer("gone.example", MockSmtpServer().with_rcpt_to_response(550, "5.1.1 unknown"))
        mta.client().send("ann@sender.example", ["a@full.example", "b@gone.example"], CONTENT)
        mta.advance(2)
        found = {
            group["Final-Recipient"]: group["X-Empath-Category"]
            for m in self.home.messages
            for group in fields(m.content)[1:]
        }
        self.assertEqual(found, {"rfc822; a@full.example": "quota", "rfc822; b@gone.example": "bad-mailbox"})
        ended = [event for event in mta.events if isinstance(event, AttemptEnded)]
        heard = {state.category for event in ended for state in event.results}
        self.assertEqual(heard, {"quota", "bad-mailbox", ""})
