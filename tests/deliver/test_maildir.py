"""
Delivery into a maildir: what is there afterwards.
"""

from __future__ import annotations

import os

from zope.interface.verify import verifyObject

from empath.deliver import maildir, maildir_files
from empath.deliver.maildir import MaildirAgent
from empath.deliver.maildir_text import file_name
from empath.interfaces import IAgent
from empath.mail.outcome import Custody
from empath.policy.route import Route
from tests.deliver.maildir_case import DELIVERED, MaildirCase, recorded
from tests.deliver.world import address, message


class DeliveryTests(MaildirCase):
    """
    What is in the maildir afterwards.
    """

    def test_interface(self) -> None:
        """
        The agent keeps the interface's promise of names.
        """
        verifyObject(IAgent, self.agent)

    def test_delivered(self) -> None:
        """
        The maildir is made; the mail has its trace on top, local line ends, and is nowhere else.
        """
        self.assertEqual(self.deliver(message()), [DELIVERED])
        expected = b"Return-Path: <a@example.net>\nDelivered-To: b@example.org\nSubject: x\n\n.hidden\nend\n"
        self.assertEqual(self.texts(), [expected])
        self.assertEqual((self.names("tmp"), self.names("cur")), ([], []))
        self.assertEqual(os.stat(os.path.join(self.path, "new", self.names()[0])).st_mode & 0o777, 0o600)

    def test_custody(self) -> None:
        """
        What is in a mailbox was delivered, not relayed: the report of success is ours (RFC 3461 §5.2).
        """
        for outcome in (maildir.DELIVERED, maildir.ALREADY):
            self.assertIs(outcome.custody, Custody.DELIVERED)

    def test_null_sender(self) -> None:
        """
        The null reverse-path is "<>".
        """
        self.deliver(message(sender=None))
        self.assertTrue(self.texts()[0].startswith(b"Return-Path: <>\n"))

    def test_every_byte(self) -> None:
        """
        Bytes stay as they are, but for CRLF.
        """
        body = b"\r\n" + bytes(range(1, 256)) + b"\r\r\n\n\r"
        self.deliver(message(body=body))
        self.assertTrue(self.texts()[0].endswith(body.replace(b"\r\n", b"\n")))

    def test_recipients(self) -> None:
        """
        Each recipient has a file of its own.
        """
        self.assertEqual(self.deliver(message("b@example.org", "c@example.org")), [DELIVERED] * 2)
        self.assertEqual([b"Delivered-To: c@" in text for text in self.texts()].count(True), 1)

    def test_same_recipient_twice(self) -> None:
        """
        A recipient named twice gets one file, and two outcomes.
        """
        self.assertEqual(self.deliver(message("b@example.org", "b@example.org")), [DELIVERED] * 2)
        self.assertEqual(len(self.names()), 1)

    def test_repeat(self) -> None:
        """
        A repeated delivery is recognised in new/, and makes only what is missing.
        """
        self.deliver(message())
        self.assertEqual(self.deliver(message("b@example.org", "c@example.org")), [DELIVERED] * 2)
        self.assertEqual(len(self.names()), 2)

    def test_repeat_after_reading(self) -> None:
        """
        It is recognised in cur/ too, with the flags a reader gave it, in a later attempt and after a restart.
        """
        for flags in ("", ":2,", ":2,RS"):
            self.setUp()
            self.deliver(message())
            (name,) = self.names()
            os.rename(os.path.join(self.path, "new", name), os.path.join(self.path, "cur", name + flags))
            self.assertEqual(self.deliver(message(), number=2), [DELIVERED])
            self.clock.advance(1000)
            self.agent = MaildirAgent(
                self.clock, lambda _: self.reader, self.in_thread, lambda _: Route(path=self.path)
            )
            self.assertEqual(self.deliver(message()), [DELIVERED])
            self.assertEqual(self.names(), [])

    def test_left_over(self) -> None:
        """
        What a crash left in tmp/ is written anew.
        """
        maildir_files.make_maildir(self.path)
        name = file_name(message(), address("b@example.org"))
        with open(os.path.join(self.path, "tmp", name), "wb") as file:
            file.write(b"x" * 10000)
        self.deliver(message())
        self.assertEqual((self.names(), len(self.texts()[0]) < 1000), ([name], True))

    def test_name(self) -> None:
        """
        A name cannot leave the folder and has no ":"; it tells recipients apart.
        """
        one, two = (file_name(message(), address(text)) for text in ("../../x:y@example.org", "X@example.org"))
        self.assertNotEqual(one, two)
        for name in (one, two):
            self.assertRegex(name, r"^1000\.01HZ{23}\.[0-9a-f]{16}$")

    def test_synced_before_success(self) -> None:
        """
        The file is synced before it moves to new/, the folder after, and only then is it a success.
        """
        done: list[str] = []
        maildir_files.make_maildir(self.path)
        for name in ("fsync", "rename"):
            self.patch(os, name, recorded(done, name, getattr(os, name)))
        self.deliver(message())
        self.assertEqual(done, ["fsync", "rename", "fsync"])

    def test_no_path(self) -> None:
        """
        Without a folder the mail waits for the operator.
        """
        self.path = ""
        self.assertEqual(self.deliver(message()), ["TransientFailure 451 4.3.5"])
