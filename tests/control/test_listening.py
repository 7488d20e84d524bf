"""
Requirements on the control socket in the file system, on a real reactor and real files.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  # real sockets are what is tested
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from empath.control.listening import ControlSocket, ControlSocketError


class SocketTests(TestCase):
    """
    One path, and who has it.
    """

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="empath-")  # trial's own paths may be too long for a socket
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "control.sock"

    def socket(self, path: Path | None = None) -> ControlSocket:
        found = ControlSocket(reactor, str(path or self.path), Factory.forProtocol(Protocol))
        self.addCleanup(self.stop, found)
        return found

    def stop(self, control: ControlSocket) -> Deferred[None]:
        return Deferred.fromCoroutine(control.stop())

    def bound(self, path: Path | None = None) -> ControlSocket:
        found = self.socket(path)
        found.bind()
        return found

    def refused(self, path: Path | None = None) -> str:
        return str(self.assertRaises(ControlSocketError, self.socket(path).bind))

    def stale(self) -> None:
        """
        Leave a socket behind, as a killed process does.
        """
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(self.path))

    async def test_it_is_its_owners_alone_and_is_gone_at_the_end(self) -> None:
        """
        With its lock; the folder is made where there is none.
        """
        path = self.folder / "run" / "empath" / "control.sock"
        control = self.bound(path)
        self.assertEqual([stat.S_IMODE(os.lstat(each).st_mode) for each in (path, f"{path}.lock")], [0o600, 0o600])
        self.assertFalse(stat.S_IMODE(path.parent.stat().st_mode) & 0o022)
        await self.stop(control)
        self.assertEqual(list(path.parent.iterdir()), [])

    async def test_a_second_one_is_told_who_has_it(self) -> None:
        """
        And takes nothing from the first.
        """
        first = self.bound()
        before = os.lstat(self.path).st_ino
        self.assertIn(f"(process {os.getpid()})", self.refused())
        self.assertEqual(os.lstat(self.path).st_ino, before)
        await self.stop(first)
        self.bound()

    async def test_what_was_left_behind_is_taken_over(self) -> None:
        """
        Socket and lock file.
        """
        self.stale()
        Path(f"{self.path}.lock").write_text("99999999\n")
        self.bound()
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self.path))

    async def test_a_socket_that_answers_is_left_alone(self) -> None:
        """
        Also one of another program, without a lock.
        """
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(self.path))
            other.listen(1)
            self.assertIn("another empath has", self.refused())
            self.assertTrue(self.path.exists())
            self.assertEqual([each.name for each in self.folder.iterdir()], ["control.sock"])

    async def test_a_busy_socket_is_alive(self) -> None:
        """
        Nobody accepts, and no more connections fit.
        """
        with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as waiting:
            other.bind(str(self.path))
            other.listen(0)
            waiting.connect(str(self.path))
            self.refused()
            self.assertTrue(self.path.exists())

    async def test_what_is_no_stream_socket_is_left_alone(self) -> None:
        """
        A file of somebody, a folder, a socket of another kind.
        """
        self.path.write_text("precious")
        self.assertIn("is no socket", self.refused())
        self.assertEqual(self.path.read_text(), "precious")
        self.path.unlink()
        self.path.mkdir()
        self.assertIn("is no socket", self.refused())
        self.path.rmdir()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(str(self.path))
            self.refused()
        self.assertTrue(self.path.exists())

    async def test_a_path_that_cannot_be_used_is_told(self) -> None:
        """
        Too long, or in no folder that can be made.
        """
        self.assertIn("107", self.refused(self.folder / ("x" * 120)))
        self.path.write_text("")
        self.assertIn("cannot be made", self.refused(self.path / "control.sock"))

    async def test_a_lock_file_is_not_followed_elsewhere(self) -> None:
        """
        A link in its place may lead to somebody's file.
        """
        precious = self.folder / "precious"
        precious.write_text("precious")
        Path(f"{self.path}.lock").symlink_to(precious)
        self.refused()
        self.assertEqual(precious.read_text(), "precious")

    async def test_what_is_somebody_elses_by_now_stays(self) -> None:
        """
        Who removed our socket and made another; who removed it and made none is no trouble either.
        """
        control = self.bound()
        self.path.unlink()
        self.stale()
        await self.stop(control)
        self.assertTrue(self.path.exists())
        self.path.unlink()
        control = self.bound()
        self.path.unlink()
        await self.stop(control)

    async def test_it_can_be_given_back_before_anything_ran(self) -> None:
        """
        At once: the process may end now.
        """
        self.bound().abandon()
        self.assertEqual(list(self.folder.iterdir()), [])

    async def test_the_umask_is_as_before(self) -> None:
        """
        What we make later is not for us alone.
        """
        before = os.umask(0o027)
        self.addCleanup(os.umask, before)
        self.bound()
        self.assertEqual(os.umask(0o027), 0o027)
