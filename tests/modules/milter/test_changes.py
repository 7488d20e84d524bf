"""
What a milter may change, and that nothing changes by halves.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.session import Transaction
from empath.modules.builtin.milter.changes import IN_MEMORY, MOST, Changes
from empath.modules.builtin.milter.codec import MilterError
from empath.modules.builtin.milter.said import (
    AddHeader,
    AddRecipient,
    Change,
    ChangeHeader,
    ChangeSender,
    DeleteRecipient,
    InsertHeader,
    Quarantine,
    ReplaceBody,
)
from tests.modules.milter.fakes import FakeContent, FakeMilter, FakeServices, recipient, transaction


class ChangesTests(SynchronousTestCase):
    """
    Changes to one message.
    """

    def setUp(self) -> None:
        self.services = FakeServices(FakeMilter())
        self.transaction = transaction()
        self.transaction.recipients = [recipient("a@one.test"), recipient("b@two.test")]

    def made(self, *changes: Change, content: FakeContent | None = None, limit: int = 1_000_000) -> FakeContent:
        """
        Make changes to a message.
        """
        content = content or FakeContent(b"A: 1\r\nB: 2\r\na: 3\r\n")
        kept = Changes(self.services, limit)

        async def make(of: Transaction) -> None:
            for change in changes:
                waiting = kept.take(change)
                if waiting is not None:
                    await waiting
            await kept.apply(of, content)

        self.successResultOf(Deferred.fromCoroutine(make(self.transaction)))
        kept.close()
        return content

    def addresses(self) -> list[str]:
        """
        The recipients as they stand.
        """
        return [each.address.text for each in self.transaction.recipients]

    def test_fields(self) -> None:
        """
        Added at the end or at an index that counts our Received, changed and removed by their number, appended where
        there is none of that number; folded ones keep their lines.
        """
        content = self.made(
            AddHeader(b"X-Add", b" b=1;\n\tc=2"),
            InsertHeader(0, b"X-Top", b"top"),
            InsertHeader(3, b"X-Three", b"after A"),
            ChangeHeader(2, b"A", b"changed"),
            ChangeHeader(1, b"B", b""),
            ChangeHeader(5, b"C", b"new"),
        )
        self.assertEqual(
            content.header,
            b"X-Top: top\r\nA: 1\r\nX-Three: after A\r\nA: changed\r\nX-Add: b=1;\r\n\tc=2\r\nC: new\r\n",
        )

    def test_recipients(self) -> None:
        """
        Added unless they are there, removed by address, and what an alias made of one by the one it was made of.
        """
        self.transaction.rewrite(self.transaction.recipients[0], recipient("real@three.test").address)
        self.made(
            AddRecipient(b"<new@one.test>", b"notify=never ORCPT=rfc822;x BAD=1 ORCPT=bad"),
            AddRecipient(b"b@two.test"),
            DeleteRecipient(b"<a@one.test>"),
            DeleteRecipient(b"<nobody@one.test>"),
        )
        self.assertEqual(self.addresses(), ["b@two.test", "new@one.test"])
        self.assertEqual(self.transaction.recipients[1].parameters, {"NOTIFY": "NEVER", "ORCPT": "rfc822;x"})

    def test_senders(self) -> None:
        """
        Another reverse-path, or the null one.
        """
        self.made(ChangeSender(b"<other@one.test>", b"SIZE=1"))
        self.assertEqual(str(self.transaction.reverse_path), "other@one.test")
        self.made(ChangeSender(b"<>"))
        self.assertIs(self.transaction.reverse_path, None)

    def test_quarantine(self) -> None:
        """
        The message is held, with the milter's reason in what can be printed.
        """
        self.made(Quarantine(b"looks odd"))
        self.assertEqual(self.transaction.held, "looks odd")
        self.made(Quarantine(b"a\nb"))
        self.assertEqual(self.transaction.held, r"'a\nb'")

    def test_bodies(self) -> None:
        """
        All line ends become CRLF, the last one is added, and it may be empty; a large one goes to a file in a thread.
        """
        for pieces, body in (
            ((b"",), b"\r\n"),
            (
                (
                    b"a\r",
                    b"\nb\nc\rd",
                ),
                b"\r\na\r\nb\r\nc\r\nd\r\n",
            ),
            ((b"a\r",), b"\r\na\r\n"),
            ((b"a\r\n",), b"\r\na\r\n"),
        ):
            self.assertEqual(self.made(*map(ReplaceBody, pieces)).body, body)
        self.assertEqual(self.services.threads, 0)
        piece = (b"x" * 99 + b"\r\n") * 600
        self.assertEqual(self.made(*[ReplaceBody(piece)] * 5).body, b"\r\n" + piece * 5)
        self.assertGreater(self.services.threads, 0)
        self.assertLess(IN_MEMORY, len(piece) * 5)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.text("ab\r\n", max_size=6)))
    def test_bodies_wherever_they_are_cut(self, pieces: list[str]) -> None:
        """
        The pieces mean what the whole means.
        """
        whole = "".join(pieces).replace("\r\n", "\n").replace("\r", "\n")
        whole = whole if whole.endswith("\n") or not whole else whole + "\n"
        self.setUp()
        made = self.made(*[ReplaceBody(piece.encode()) for piece in [*pieces, ""]])
        self.assertEqual(made.body, b"\r\n" + whole.replace("\n", "\r\n").encode())

    def test_what_no_mail_can_carry(self) -> None:
        """
        It is an error when it is said, before anything is changed.
        """
        for change in (
            AddHeader(b"no name", b"x"),
            AddHeader(b"X", b"a\nInjected: x"),
            AddHeader(b"X", b"x" * 1000),
            InsertHeader(0, b"", b"x"),
            ChangeHeader(1, b"X", b"a\n\nb"),
            AddRecipient(b"<nobody>"),
            AddRecipient(b"<>"),
            AddRecipient(b"<a@one.test>\r\nDATA"),
            DeleteRecipient(b""),
            DeleteRecipient(b"a b"),
            ChangeSender(b"<a@b@c>"),
            ReplaceBody(b"a\0b"),
            ReplaceBody(b"x" * 2000),
        ):
            with self.assertRaises(MilterError):
                Changes(self.services, 1000).take(change)

    def test_changes_are_bounded(self) -> None:
        """
        So many and no more.
        """
        kept = Changes(self.services, 1000)
        for _ in range(MOST):
            kept.take(Quarantine(b""))
        with self.assertRaises(MilterError):
            kept.take(Quarantine(b""))
