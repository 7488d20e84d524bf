"""
Delivery into a maildir: disks that refuse, calls that are shared, content that is streamed.
"""

from __future__ import annotations

import errno
import os
import shutil

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, execute
from twisted.trial.unittest import SynchronousTestCase

from empath.deliver import maildir, maildir_files
from empath.deliver.maildir import MaildirAgent
from empath.deliver.maildir_text import LocalLines
from empath.errors import SpoolError
from empath.policy.route import Route
from tests.deliver.maildir_case import DELIVERED, MaildirCase
from tests.deliver.world import Reader, message, spell


class TroubleTests(MaildirCase):
    """
    Disks that refuse.
    """

    def test_full(self) -> None:
        """
        A full disk is transient, 452 4.3.1, and leaves nothing behind; afterwards the same delivery succeeds.
        """
        for name in ("write", "fsync", "rename"):
            for code in (errno.ENOSPC, errno.EDQUOT):
                maildir_files.make_maildir(self.path)
                with self.subTest(name=name):
                    real = getattr(os, name)
                    self.refuse(name, code)
                    self.assertEqual(self.deliver(message()), ["TransientFailure 452 4.3.1"])
                    self.patch(os, name, real)
                    self.assertEqual((self.names("tmp"), self.names()), ([], []))
        self.assertEqual(self.deliver(message()), [DELIVERED])

    def test_folder_cannot_be_synced(self) -> None:
        """
        Without the folder's sync there is no success.
        """
        maildir_files.make_maildir(self.path)

        def refused(_path: str) -> None:
            raise OSError(errno.EIO, "broken")

        self.patch(maildir, "sync_folder", refused)
        self.assertEqual(self.deliver(message()), ["TransientFailure 451 4.3.0"])

    def test_not_allowed(self) -> None:
        """
        Other trouble is transient, 451 4.3.0; the sender is not told what it is.
        """
        self.refuse("makedirs", errno.EACCES)
        (outcome,) = self.successResultOf(self.start(message()))
        self.assertEqual(spell((outcome,)), ["TransientFailure 451 4.3.0"])
        self.assertNotIn(self.path, str(outcome.reply))

    def test_impossible_path(self) -> None:
        """
        Even a path that no call takes only makes the mail wait.
        """
        self.path = "a\0b"
        self.assertEqual(self.deliver(message()), ["TransientFailure 451 4.3.0"])

    def test_one_failure_is_nobody_elses(self) -> None:
        """
        Messages that share a thread's call do not share its trouble.
        """
        good, bad = self.path, os.path.abspath(self.mktemp())
        with open(bad, "w"):
            pass
        paths = [good, bad, good]
        self.agent = MaildirAgent(self.clock, lambda _: self.reader, self.in_thread, lambda _: Route(path=paths.pop(0)))
        self.calls = []
        told = [self.start(message(queue_id=f"ID{n}")) for n in range(3)]
        self.run_calls()
        self.assertEqual(
            [spell(self.successResultOf(each)) for each in told],
            [[DELIVERED], ["TransientFailure 451 4.3.0"], [DELIVERED]],
        )

    def run_calls(self) -> int:
        """
        Run what waits for the thread; tells how many calls it took.
        """
        count = 0
        while self.calls:
            waiting, call = self.calls.pop(0)
            execute(call).chainDeferred(waiting)
            count += 1
        return count

    def test_shared_calls(self) -> None:
        """
        What comes while the thread is busy goes together in the next call.
        """
        self.calls = []
        told = [self.start(message(queue_id=f"ID{n}")) for n in range(10)]
        self.assertEqual(self.run_calls(), 2)
        self.assertEqual([spell(self.successResultOf(each)) for each in told], [[DELIVERED]] * 10)

    def test_stop(self) -> None:
        """
        Stopping waits for what is being written.
        """
        self.assertIsNone(self.agent.stop())
        self.calls = []
        for n in range(2):
            self.start(message(queue_id=f"ID{n}"))
        stopped = self.agent.stop()
        assert stopped is not None
        self.assertNoResult(stopped)
        self.run_calls()
        self.successResultOf(stopped)

    def test_an_unfinished_maildir(self) -> None:
        """
        A maildir that lacks a folder, as a crash while it was made leaves it, is completed.
        """
        for folder in ("tmp", "new", "cur"):
            self.path = os.path.abspath(self.mktemp())
            self.assertEqual(self.deliver(message(queue_id="01HAAAAAAAAAAAAAAAAAAAAAAA")), [DELIVERED])
            shutil.rmtree(os.path.join(self.path, folder))
            self.assertEqual(self.deliver(message(), number=2), [DELIVERED])

    def test_cancelled(self) -> None:
        """
        A cancelled delivery may be on disk all the same: the next attempt looks thoroughly.
        """
        self.calls = []
        self.clock.advance(5000)
        delivery = self.start(message())
        delivery.cancel()
        self.failureResultOf(delivery, CancelledError)
        self.run_calls()
        (name,) = self.names()
        os.rename(os.path.join(self.path, "new", name), os.path.join(self.path, "cur", f"{name}:2,S"))
        self.calls = None
        self.assertEqual(self.deliver(message()), [DELIVERED])
        self.assertEqual(self.names(), [])


class StreamTests(MaildirCase):
    """
    Content that lies in a file.
    """

    def test_streamed(self) -> None:
        """
        It is written piece by piece, for all recipients.
        """
        self.reader = Reader([b"\r", b"\none\r\nt", b"wo\r", b"\n", b"\r"])
        self.assertEqual(self.deliver(message("b@example.org", "c@example.org", body=None)), [DELIVERED] * 2)
        for text in self.texts():
            self.assertTrue(text.endswith(b"\nSubject: x\n\none\ntwo\n\r"))
        self.assertEqual((self.reader.closed, self.names("tmp")), (True, []))

    def test_repeat(self) -> None:
        """
        A repeat is recognised.
        """
        for _ in range(2):
            self.reader = Reader([b"\r\nx"])
            self.assertEqual(self.deliver(message(body=None)), [DELIVERED])
        self.assertEqual(len(self.names()), 1)

    def test_trouble(self) -> None:
        """
        Trouble with the spool or the disk leaves nothing behind.
        """
        for fault, told in (
            (SpoolError("gone"), "TransientFailure 451 4.3.0"),
            (OSError(errno.ENOSPC, "full"), "TransientFailure 452 4.3.1"),
        ):
            self.reader = Reader([b"\r\nx", fault])
            self.assertEqual(self.deliver(message(body=None)), [told])
            self.assertEqual((self.reader.closed, self.names(), self.names("tmp")), (True, [], []))

    def test_bug(self) -> None:
        """
        A fault of our own is logged and the mail waits.
        """
        self.reader = Reader([b"\r\nx", KeyError("bug")])
        self.assertEqual(self.deliver(message(body=None)), ["TransientFailure 451 4.3.0"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(self.names("tmp"), [])


class LocalLinesTests(SynchronousTestCase):
    """
    Line ends.
    """

    @given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"x", b""])))
    def test_division_does_not_matter(self, pieces: list[bytes]) -> None:
        """
        Pieces give what the whole gives.
        """
        lines = LocalLines()
        converted = b"".join([*[lines.convert(piece) for piece in pieces], lines.finish()])
        self.assertEqual(converted, b"".join(pieces).replace(b"\r\n", b"\n"))
