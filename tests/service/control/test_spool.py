"""
What is asked about the spool, and done to it.
"""

from __future__ import annotations

from twisted.internet.defer import fail

from empath.control.terms.spool import (
    CleanUpCompleted,
    GetSpoolStats,
    ListSpool,
    ReadContent,
    VerifySpool,
    ViewStored,
)
from empath.errors import SpoolError
from empath.service.control.spool import PIECE
from empath.testing import MockSmtpServer
from tests.service.control.asking import CONFIG, AskingCase

UNKNOWN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


class SpoolControlTests(AskingCase):
    """
    A spool with mail that waits, and mail that was kept.
    """

    config = CONFIG + 'keep_completed = "1d"\n'

    def setUp(self) -> None:
        super().setUp()
        self.asked.peer("late.example", MockSmtpServer().with_rcpt_to_response(450, "4.2.0 come back later"))
        self.asked.peer("good.example")
        self.asked.peer("slow.example", MockSmtpServer().with_silence("EHLO"))

    def test_listing(self) -> None:
        """
        Messages by queue id, page by page, each with its deliveries.
        """
        ids = [self.send("a@late.example", "b@good.example"), self.send("a@slow.example"), self.send("a@late.example")]
        pages = [self.ask(ListSpool(2))]
        pages.append(self.ask(ListSpool(2, pages[0].after)))
        messages = [each for page in pages for each in page.messages]
        self.assertEqual(([each.queue_id for each in messages], pages[1].after), (sorted(ids), ""))
        first, second = (next(each for each in messages if each.queue_id == queue_id) for queue_id in ids[:2])
        self.assertEqual(first.deliveries, {"late.example": "retry", "good.example": "completed"})
        self.assertEqual(second.deliveries, {"slow.example": "in-progress"})
        self.assertEqual((first.sender, first.recipients, first.file), ("ann@sender.example", 2, ""))

    def test_what_is_no_page(self) -> None:
        """
        Is refused.
        """
        self.assertIn("1 to 1000", self.refusal(ListSpool(0)))
        self.assertIn("no cursor", self.refusal(ListSpool(5, "{}")))

    def test_viewing_and_reading(self) -> None:
        """
        As in the queue, and byte for byte in pieces.
        """
        content = b"Subject: hello\r\n\r\n" + b"0123456789abcde\r\n" * 10_000
        queue_id = self.send("a@late.example", content=content)
        self.assertEqual(self.ask(ViewStored(queue_id)).queue_id, queue_id)
        end = self.ask(ReadContent(queue_id))
        octets = b"".join(each.octets for each in self.told)
        self.assertTrue(octets.endswith(content))
        self.assertEqual((len(octets), max(len(each.octets) for each in self.told) <= PIECE), (end.size, True))

    def test_what_is_not_there(self) -> None:
        """
        Is said to be not there, and so is what is no queue id.
        """
        for kind in (ViewStored, ReadContent):
            self.assertIn("not in the", self.missing(kind(UNKNOWN)))
            self.assertIn("no queue id", self.missing(kind("../../etc/passwd")))

    def test_figures(self) -> None:
        """
        Messages, deliveries by status, and room.
        """
        self.send("a@late.example", "b@good.example")
        stats = self.ask(GetSpoolStats())
        self.assertEqual((stats.messages, stats.deliveries["retry"], stats.deliveries["completed"]), (1, 1, 1))
        self.assertGreater(stats.octets, 0)

    def test_verifying(self) -> None:
        """
        Finds no fault in a whole spool, and changes nothing.
        """
        self.send("a@late.example", "b@good.example")
        verified = self.ask(VerifySpool())
        self.assertEqual((verified.messages, verified.deliveries, verified.faults), (1, 2, ()))

    def test_cleaning_up(self) -> None:
        """
        Deletes what was completed, and only that.
        """
        self.send("b@good.example")
        waiting = self.send("a@late.example", "b@good.example")
        self.assertEqual(self.ask(CleanUpCompleted()).deleted, 2)
        (left,) = self.ask(ListSpool()).messages
        self.assertEqual((left.queue_id, left.deliveries), (waiting, {"late.example": "retry"}))

    def test_trouble_of_the_spool(self) -> None:
        """
        Is told.
        """
        for name in ("listing", "figures", "verify", "clean_completed"):
            self.patch(self.asked.service.spool, name, lambda *_: fail(SpoolError("the disk is gone")))
        for request in (ListSpool(), GetSpoolStats(), VerifySpool(), CleanUpCompleted()):
            self.assertEqual(self.refusal(request), "the disk is gone")
