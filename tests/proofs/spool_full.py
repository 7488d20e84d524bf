"""
A real file system of 64 MB, filled to the brim, and one that fails: nothing accepted is lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import subprocess

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from empath.config.schema import Spool
from empath.config.units import Folder, Size
from empath.errors import SpoolError, SpoolFull
from empath.mail.message import Message, Status, deliveries_of
from empath.mail.settlement import Settlement
from empath.spool.sqlite import SqliteSpool
from tests.spool.support import Post, at_once

MIB = 1024 * 1024


def _note(failure: Failure, failed: list[BaseException]) -> None:
    failed.append(failure.value or failure)


class ProofCase(SynchronousTestCase):
    """
    Each test has a file system of its own.
    """

    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        os.makedirs(self.path)
        if self.mount_disk():
            raise SkipTest("only root may mount a file system")
        self.addCleanup(subprocess.run, ["umount", "-l", self.path], check=False, capture_output=True)
        self.clock = Clock()
        self.post = Post()
        self.spool = self.make_spool()
        self.spool.open()
        self.addCleanup(self.close)

    def mount_disk(self) -> int:
        """
        Mount a disk of 64 MB; tells 0 if that could be done.
        """
        return self.mount("-t", "tmpfs", "-o", "size=64m", "tmpfs")

    def make_spool(self) -> SqliteSpool:
        return SqliteSpool(
            Spool(path=Folder(os.path.join(self.path, "spool")), min_free=Size(8 * MIB)),
            clock=self.clock,
            in_writer=at_once,
            in_reader=at_once,
            in_thread=at_once,
            emit=lambda event: None,
        )

    def mount(self, *arguments: str) -> int:
        return subprocess.run(["mount", *arguments, self.path], check=False, capture_output=True).returncode

    def close(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.spool.close()))

    def store(self, size: int) -> Message:
        """
        Store a message with so large a body; SpoolFull.
        """
        self.clock.advance(0.01)
        message = self.post.message(body=b"")
        if not self.spool.has_room(size):
            raise SpoolFull
        writer = self.spool.begin(message.queue_id)
        for _ in range(0, size, 65536):
            waiting = writer.write(b"x" * min(size, 65536))
            assert waiting is None
        message = attrs.evolve(
            message, body=writer.body, body_file=writer.body_file, size=len(message.header) + writer.size
        )
        failed: list[BaseException] = []
        writer.commit(message, deliveries_of(message)).addErrback(_note, failed)
        if failed:
            raise failed[0]
        return message

    def fill(self, sizes: tuple[int, ...]) -> list[Message]:
        stored: list[Message] = []
        while True:
            try:
                stored.append(self.store(sizes[len(stored) % len(sizes)]))
            except SpoolFull:
                return stored

    def all_settled(self, stored: list[Message]) -> None:
        """
        Every message is there, byte for byte in number, and can be ended.
        """
        for message in stored:
            loaded = self.successResultOf(self.spool.load(message.queue_id))
            reader = self.spool.open_body(loaded)
            size = 0
            while piece := len(self.successResultOf(reader.read())):  # type: ignore[arg-type]
                size += piece
            reader.close()
            self.assertEqual(size, message.size - len(message.header))
            (delivery,) = deliveries_of(loaded)
            self.successResultOf(self.spool.settle(Settlement(attrs.evolve(delivery, status=Status.COMPLETED))))


class FullTests(ProofCase):
    """
    The disk fills up.
    """

    def test_filled_with_mail(self) -> None:
        """
        Reception stops at min_free; all can be settled, and service resumes, three times over.
        """
        for sizes in ((4096,), (300_000,), (4096, 300_000)):
            stored = self.fill(sizes)
            self.assertGreater(sum(message.size for message in stored), 30 * MIB)
            self.all_settled(stored)
            self.clock.advance(60)
            self.spool.has_room(MIB)  # lets the file shrink
            self.successResultOf(self.spool.retry_cleanup(self.clock.seconds()))
            self.clock.advance(2)

    def test_filled_by_somebody_else(self) -> None:
        """
        Not one byte is left: new mail is refused, every retry is recorded, all comes back by itself.
        """
        stored = [self.store(4096) for _ in range(500)]
        hog = os.path.join(self.path, "hog")
        with open(hog, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        self.clock.advance(2)
        self.assertFalse(self.spool.has_room(1))
        self.spool._room.min_free = -(10**12)  # as if it had not been seen in time
        refused = 0
        for _ in range(3000):
            try:
                stored.append(self.store(4096))
            except SpoolFull:
                refused += 1
        self.assertGreater(refused, 0)
        for number, message in enumerate(stored):
            (delivery,) = deliveries_of(message)
            changed = attrs.evolve(delivery, status=Status.RETRY, next_attempt=5000.0 + number, attempts=1)
            self.successResultOf(self.spool.settle(Settlement(changed)))
        os.unlink(hog)
        self.spool.reconfigure(Spool(min_free=Size(8 * MIB)))
        self.clock.advance(2)
        stored.append(self.store(4096))
        self.assertEqual(len(self.successResultOf(self.spool.due(1e9, 10**6, ()))), len(stored))
        self.successResultOf(self.spool.retry_cleanup(self.clock.seconds()))
        self.assertTrue(os.path.exists(os.path.join(self.path, "spool", "ballast")))
        self.all_settled(stored)

    def test_starting_on_a_full_disk(self) -> None:
        """
        What was accepted can be delivered: the spool opens, at the cost of the ballast.
        """
        stored = [self.store(4096) for _ in range(500)]
        self.successResultOf(Deferred.fromCoroutine(self.spool.close()))
        with open(os.path.join(self.path, "hog"), "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        self.spool = self.make_spool()
        self.spool.open()
        self.assertFalse(os.path.exists(os.path.join(self.path, "spool", "ballast")))
        self.assertFalse(self.spool.has_room(1))
        self.all_settled(stored)


class VanishedTests(ProofCase):
    """
    A disk that fails while it is used, and comes back.
    """

    def mount_disk(self) -> int:
        if not os.path.exists(self.path + ".image"):
            with open(self.path + ".image", "wb") as image:
                image.truncate(64 * MIB)
            if subprocess.run(["mkfs.ext4", "-q", "-F", self.path + ".image"], check=False).returncode:
                return 1
        return self.mount("-o", "loop", self.path + ".image")

    def shut_down(self) -> None:
        """
        Cut the file system off (EXT4_IOC_SHUTDOWN, flushing nothing): what is not synced is gone, all else is EIO.
        """
        descriptor = os.open(self.path, os.O_RDONLY)
        fcntl.ioctl(descriptor, 0x8004587D, struct.pack("I", 2))
        os.close(descriptor)

    def test_a_disk_that_fails_and_returns(self) -> None:
        """
        Everything fails with SpoolError meanwhile; afterwards what was committed is there and service goes on.
        """
        stored = [self.store(size) for size in (4096, 300_000) * 20]
        self.shut_down()
        for _ in range(3):
            (delivery,) = deliveries_of(stored[0])
            self.failureResultOf(self.spool.settle(Settlement(delivery)), SpoolError)
            self.failureResultOf(self.spool.probe(), SpoolError)
            self.assertRaises(SpoolError, self.store, 300_000)
        subprocess.run(["umount", "-l", self.path], check=True)
        self.failureResultOf(self.spool.probe(), SpoolError)
        self.assertEqual(os.listdir(self.path), [])
        self.assertEqual(self.mount_disk(), 0)
        self.successResultOf(self.spool.probe())
        self.clock.advance(2)
        stored.append(self.store(4096))
        self.assertEqual(len(self.successResultOf(self.spool.due(1e9, 10**6, ()))), len(stored))
        self.all_settled(stored)
