"""
Requirements on where log records go.
"""

from __future__ import annotations

import errno
import os
import syslog
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from empath.log_output import MARKS, LogFile, Syslog, is_journal


class LogFileTests(SynchronousTestCase):
    """
    Trouble with the log costs records, never mail.
    """

    def test_a_reader_that_went_away_is_ignored(self) -> None:
        """
        A closed pipe raises nothing.
        """
        reading, writing = os.pipe()
        os.close(reading)
        self.addCleanup(os.close, writing)
        output = LogFile(None, writing)
        output.write("lost\n")
        self.assertEqual(output.reopen(), "there is none")

    def test_a_path_that_went_away_keeps_the_old_file(self) -> None:
        """
        What cannot be opened again goes on where it was.
        """
        folder = Path(os.path.abspath(self.mktemp()))
        (folder / "sub").mkdir(parents=True)
        output = LogFile(str(folder / "sub" / "a.log"))
        (folder / "sub").rename(folder / "gone")
        self.assertEqual(output.reopen(), "No such file or directory")
        output.write("caf\u00e9 \udc80\n")
        self.assertEqual((folder / "gone" / "a.log").read_bytes(), b"caf\xc3\xa9 \\udc80\n")

    def test_a_thread_that_is_about_to_write_finds_no_other_file(self) -> None:
        """
        Such as content in the spool, which got the number that was free for a moment.
        """
        path = Path(os.path.abspath(self.mktemp()))
        output, before = LogFile(str(path)), set(os.listdir("/proc/self/fd"))
        path.rename(f"{path}.1")
        self.assertEqual(output.reopen(), "")
        self.assertEqual(set(os.listdir("/proc/self/fd")), before)
        held = [number for number in before if os.path.realpath(f"/proc/self/fd/{number}") == str(path)]
        self.assertEqual(len(held), 1)
        self.assertFalse(os.get_inheritable(int(held[0])))
        closed: list[int] = []

        def close(number: int, real: Callable[[int], None] = os.close) -> None:
            closed.append(number)
            real(number)

        self.patch(os, "close", close)
        output.reopen()
        self.assertNotIn(int(held[0]), closed)

    def test_its_group_reads_a_new_file_whatever_the_umask_is(self) -> None:
        """
        A daemon's umask would hide it when logrotate moved the old one away; the mode of one that is there stays.
        """
        path = Path(os.path.abspath(self.mktemp()))
        self.addCleanup(os.umask, os.umask(0o077))
        output = LogFile(str(path))
        self.assertEqual(path.stat().st_mode & 0o777, 0o640)
        path.unlink()
        output.reopen()
        self.assertEqual(path.stat().st_mode & 0o777, 0o640)
        path.chmod(0o600)
        output.reopen()
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_a_disk_that_fills_up_tears_one_record_only(self) -> None:
        """
        What is written after it has a line of its own, and what did not go at all leaves no trace.
        """
        path = Path(os.path.abspath(self.mktemp()))
        output, room = LogFile(str(path)), [1000, 3, 0, 0, 1000, 1000]

        def write(descriptor: int, octets: bytes, real: Callable[[int, bytes], int] = os.write) -> int:
            if not (most := room.pop(0)):
                raise OSError(errno.ENOSPC, "full")
            return real(descriptor, octets[:most])

        self.patch(os, "write", write)
        for record in ("first\n", "second\n", "third\n", "fourth\n", "fifth\n"):
            output.write(record)
        self.assertEqual(path.read_text(), "first\nsec\nfourth\nfifth\n")


class JournalTests(SynchronousTestCase):
    """
    Standard output may come to systemd's journal.
    """

    def test_is_the_journal_if_systemd_says_so_of_this_very_pipe(self) -> None:
        """
        Not if it was sent elsewhere since, as by a shell in between.
        """
        ends = (*os.pipe(), *os.pipe())
        for end in ends:
            self.addCleanup(os.close, end)
        found = os.fstat(ends[1])
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        self.assertTrue(is_journal(ends[1], environ))
        self.assertFalse(is_journal(ends[3], environ))
        self.assertFalse(is_journal(ends[1], {}))
        self.assertFalse(is_journal(-1, environ))


class SyslogTests(SynchronousTestCase):
    """
    The system's log, recorded instead of being spoken to.
    """

    def test_each_line_goes_with_the_priority_that_it_is_marked_with(self) -> None:
        """
        Also those of a traceback; a record of one level cannot take another's.
        """
        sent: list[tuple[int, str]] = []
        self.patch(syslog, "openlog", lambda *_: None)
        self.patch(syslog, "syslog", lambda number, text: sent.append((number, text)))
        output = Syslog("empath")
        output.write(f"{MARKS['info']}one <2>\n")
        output.write(f"{MARKS['critical']}two\n{MARKS['critical']}\tbroken\0\n")
        self.assertEqual(sent, [(6, "one <2>"), (2, "two"), (2, "\tbroken?")])
        self.assertEqual([MARKS[name][1] for name in ("debug", "warn", "error")], ["7", "4", "3"])
