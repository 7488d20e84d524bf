"""
What a milter may change, and that nothing changes by halves.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.session import Transaction
from empath.modules.builtin.milter.changes import LARGEST, MOST, MOST_INSERTED, Changes
from empath.modules.builtin.milter.codec import MilterError
from empath.modules.builtin.milter.message import header_fields
from empath.modules.builtin.milter.new_body import IN_MEMORY
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
            ((b"a\0\r\0\nb",), b"\r\na\r\nb\r\n"),
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
            AddHeader(b"X", b"a\n\nInjected: x"),
            AddHeader(b"X", b"a\r\n \r\nInjected: x"),
            AddHeader(b"X", b"a\0b"),
            AddHeader(b"X" * 1000, b"x"),
            AddHeader(b"From", "ü@one.test".encode()),
            InsertHeader(0, b"", b"x"),
            ChangeHeader(1, b"X", b"a\n\nb"),
            AddRecipient(b"<nobody>"),
            AddRecipient(b"<>"),
            AddRecipient(b"<a@one.test>\r\nDATA"),
            DeleteRecipient(b""),
            DeleteRecipient(b"a b"),
            ChangeSender(b"<a@b@c>"),
            ReplaceBody(b"x" * 2000),
        ):
            with self.assertRaises(MilterError):
                Changes(self.services, 1000).take(change)

    def test_a_field_that_the_client_made_odd(self) -> None:
        """
        A milter that gives back what it was told is not to blame for it: lines without anything, a CR that stands
        alone, words that no line can hold.
        """
        content = self.made(
            ChangeHeader(1, b"A", b"[SPAM] one\n \n\t\n\ttwo\n "),
            ChangeHeader(1, b"B", b"a\rb"),
            AddHeader(b"C", b"x" * 2000),
            AddHeader(b"D", b"y" * 1200 + b"\n " + b"z"),
        )
        self.assertEqual(content.get("A"), "[SPAM] one\ttwo")
        self.assertEqual(content.get("B"), "a b")
        self.assertEqual(content.get("C"), " ".join(("x" * 900, "x" * 900, "x" * 200)))
        self.assertEqual(content.get("D"), f"{'y' * 900} {'y' * 300} z")
        self.assertTrue(all(len(line) <= 998 for line in content.header.split(b"\r\n")))

    @settings(max_examples=150, deadline=None)
    @given(st.text("a \t\r\nü", max_size=12), st.integers(0, 1500), st.booleans())
    def test_what_the_milter_was_told_it_may_give_back(self, value: str, length: int, utf8: bool) -> None:
        """
        Whatever the client wrote in a field, and however the milter was told of it.
        """
        long = f"X-Odd:{value}{'ö' * length}\r\n".encode()
        for told in header_fields(long, leading_space=True):
            name, _, back = told.removesuffix(b"\0").partition(b"\0")
            kept = Changes(self.services, 1000, utf8)
            if name == b"X-Odd" and back:
                kept.take(ChangeHeader(1, name, b" [SPAM]" + back))
                field = self.made(AddHeader(name, back)).header
                self.assertNotIn(b"\n[", field)

    def test_many_changes(self) -> None:
        """
        As many as a client can make a milter want are made, in linear time.
        """
        many = 20_000
        header = b"X-A:1\r\n" * many
        self.transaction.recipients = [recipient(f"u{number}@one.test") for number in range(5000)]
        content = self.made(
            *(ChangeHeader(number, b"X-A", b"") for number in range(many, 0, -1)),
            *(DeleteRecipient(f"<u{number}@one.test>".encode()) for number in range(5000)),
            *(AddRecipient(f"<n{number}@one.test>".encode()) for number in range(5000)),
            content=FakeContent(header + b"To: a\r\n"),
        )
        self.assertEqual(content.header, b"To: a\r\n")
        self.assertEqual((len(self.transaction.recipients), self.addresses()[-1]), (5000, "n4999@one.test"))

    def test_changes_are_bounded(self) -> None:
        """
        So many and no more, and so many octets.
        """
        for change, most in (
            (Quarantine(b""), MOST),
            (InsertHeader(1, b"X", b"y"), MOST_INSERTED),
            (AddHeader(b"X", b"y" * 65_535), LARGEST // 65_536),
        ):
            kept = Changes(self.services, 1000)
            for _ in range(most):
                kept.take(change)
            with self.assertRaises(MilterError):
                kept.take(change)
