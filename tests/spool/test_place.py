"""
Where a spool may be, and that it is nobody else's.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from empath.errors import SpoolError, SpoolLocked
from empath.spool import place
from empath.spool.place import Lock, file_system, prepare

MOUNTS = r"""
/dev/vda / ext4 rw 0 0
server:/export /srv nfs4 rw 0 0
/dev/vdb /srv/local\040disk xfs rw 0 0
tmpfs /srvx tmpfs rw 0 0
//win/share /mnt cifs rw 0 0
/dev/vdc /mnt ext4 rw 0 0
bad
""".lstrip()


class PlaceTests(SynchronousTestCase):
    """
    `prepare`, and the file systems under it.
    """

    def test_the_directory_is_made_for_us_alone(self) -> None:
        """
        With all that leads to it, mode 0700.
        """
        path = os.path.join(os.path.abspath(self.mktemp()), "a", "b")
        self.assertEqual(prepare(path), os.path.realpath(path))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o700)
        prepare(path)

    def test_paths_that_are_refused(self) -> None:
        """
        Empty, with "..", in a system directory or /, with one line that names the path.
        """
        for path in ("", "/var/spool/../x", "/etc", "/etc/empath", "/usr/bin/x", "/proc/self", "/dev/shm", "/", "a\0b"):
            failure = self.assertRaises(SpoolError, prepare, path)
            self.assertEqual(str(failure).count("\n"), 0)
            self.assertIn(repr(path), str(failure))

    def test_links_are_resolved(self) -> None:
        """
        A link into a system directory is that directory.
        """
        link = os.path.abspath(self.mktemp())
        os.symlink("/etc", link)
        self.assertRaises(SpoolError, prepare, os.path.join(link, "empath-spool"))
        self.assertFalse(os.path.exists("/etc/empath-spool"))

    def test_names_that_only_begin_alike(self) -> None:
        """
        /etcetera is not /etc.
        """
        self.assertEqual(file_system("/srvx/spool", MOUNTS), "tmpfs")

    def test_a_file_in_the_way(self) -> None:
        """
        A path that is a file is refused.
        """
        path = os.path.abspath(self.mktemp())
        with open(path, "w"):
            pass
        self.assertRaises(SpoolError, prepare, path)

    def test_the_longest_mount_point_counts(self) -> None:
        """
        And of two on one point the later one; blanks are octal there.
        """
        for path, kind in (
            ("/var/spool", "ext4"),
            ("/srv/spool", "nfs4"),
            ("/srv", "nfs4"),
            ("/srv/local disk/spool", "xfs"),
            ("/mnt/spool", "ext4"),
        ):
            self.assertEqual(file_system(path, MOUNTS), kind)
        self.assertEqual(file_system("/x", ""), "")

    def test_network_file_systems_are_refused(self) -> None:
        """
        SQLite's locks do not hold there.
        """
        path = os.path.realpath(os.path.abspath(self.mktemp()))
        self.patch(sys.modules["empath.spool.place"], "_mounts", lambda: f"x {path} nfs rw 0 0\n")
        failure = self.assertRaises(SpoolError, prepare, path)
        self.assertIn("nfs", str(failure))

    def test_windows_is_refused(self) -> None:
        """
        In one line, before anything is touched.
        """
        self.patch(os, "name", "nt")
        failure = self.assertRaises(SpoolError, prepare, "C:/spool")
        self.assertIn("POSIX", str(failure))

    def test_a_new_directory_is_on_disk(self) -> None:
        """
        Its own name is synced when it is made, not at every start.
        """
        synced: list[str] = []
        self.patch(place, "sync_folder", synced.append)
        parent = os.path.abspath(self.mktemp())
        os.mkdir(parent)
        prepare(os.path.join(parent, "spool"))
        prepare(os.path.join(parent, "spool"))
        self.assertEqual(synced, [os.path.realpath(parent)])


class LockTests(SynchronousTestCase):
    """
    One process a spool.
    """

    def test_the_second_is_told_who_is_first(self) -> None:
        """
        SpoolLocked names the process; when the first lets go the second may have it.
        """
        path = os.path.abspath(self.mktemp())
        first, second = Lock(path), Lock(path)
        first.take()
        failure = self.assertRaises(SpoolLocked, second.take)
        self.assertIn(f"pid {os.getpid()}", str(failure))
        first.release()
        first.release()
        second.take()
        second.release()

    def test_another_process_holds_it(self) -> None:
        """
        And its end, however it comes, frees the lock.
        """
        path = os.path.abspath(self.mktemp())
        program = (
            "import sys; from empath.spool.place import Lock; Lock(sys.argv[1]).take(); print(1, flush=True); input()"
        )
        holder = subprocess.Popen([sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            failure = self.assertRaises(SpoolLocked, Lock(path).take)
            self.assertIn(f"pid {holder.pid}", str(failure))
            holder.kill()
        lock = Lock(path)
        lock.take()
        lock.release()

    def test_making_sure_never_lets_go(self) -> None:
        """
        While the file is the one it was taken on the lock is not free for a moment; another file is locked instead.
        """
        path = os.path.abspath(self.mktemp())
        lock = Lock(path)
        self.addCleanup(lock.release)
        lock.take()
        released: list[str] = []
        watch = self.patch(lock, "release", lambda: released.append(path))
        lock.take_again()
        self.assertEqual(released, [])
        watch.restore()
        os.unlink(path)
        lock.take_again()
        self.assertRaises(SpoolLocked, Lock(path).take)

    def test_a_lock_that_cannot_be_made(self) -> None:
        """
        Is a SpoolError.
        """
        self.assertRaises(SpoolError, Lock(os.path.abspath(self.mktemp()) + "/no/lock").take)
