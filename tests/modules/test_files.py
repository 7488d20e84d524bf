"""
Files that are followed.
"""

from __future__ import annotations

import io
import os

from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from empath.modules import files
from empath.modules.files import MOST_POSTPONED, MOST_PROBLEMS, Seen, WatchedFile, each_line, look
from empath.policy.entries import entries
from tests.modules.support import FakeServices


def numbers(text: str) -> list[int]:
    """
    Read a number a line.
    """
    found: list[int] = []
    each_line(entries(text), lambda line: found.append(int(line)))
    return found


class FileTests(SynchronousTestCase):
    """
    A file on a real disk.
    """

    def setUp(self) -> None:
        """
        A file with a number, and what is logged.
        """
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        self.services = FakeServices(folder)
        self.path = os.path.join(folder, "list")
        self.write("1\n")
        self.logged: list[str] = []
        observe: ILogObserver = self.observe  # type: ignore[assignment]  # a callable that takes an event is one
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def observe(self, event: LogEvent) -> None:
        """
        Keep warnings.
        """
        if event.get("log_namespace") == "empath.modules.files" and event["log_level"] is LogLevel.warn:
            self.logged.append(str(event["problem"]))

    def write(self, text: str | bytes) -> None:
        """
        Put another file in its place.
        """
        new = self.path + ".new"
        with open(new, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.replace(new, self.path)

    def after(self, seconds: float = 5.0) -> list[int]:
        """
        Tell the value when so much time has passed.
        """
        self.services.clock.advance(seconds)
        return self.watched.value

    def watch(self) -> None:
        """
        Begin to follow it.
        """
        self.watched = WatchedFile("list", numbers, self.services)

    def test_replaced(self) -> None:
        """
        A file that was renamed over the old one is read, in a thread, at the next look and only then.
        """
        self.watch()
        self.assertEqual(self.watched.value, [1])
        self.assertEqual(self.services.threads, 0)
        self.write("2\n")
        self.assertEqual(self.after(4.9), [1])
        self.assertEqual(self.after(0.2), [2])
        self.assertEqual(self.services.threads, 1)
        before = self.watched.value
        self.assertIs(self.after(), before)

    def test_changed_in_place(self) -> None:
        """
        So is one that was written to, even if its size and time of change look the same.
        """
        self.watch()
        status = os.stat(self.path)
        with open(self.path, "r+b") as file:
            file.write(b"7")
        os.utime(self.path, ns=(status.st_atime_ns, status.st_mtime_ns))
        if os.stat(self.path).st_ctime_ns != status.st_ctime_ns:  # not within one tick of the file system's clock
            self.assertEqual(self.after(), [7])
        with open(self.path, "ab") as file:
            file.write(b"8\n")
        self.assertEqual(self.after()[-1], 8)

    def test_wrong(self) -> None:
        """
        The old value stays, with one warning that tells the lines, until the file is right again.
        """
        self.watch()
        self.write("1\nx\n\n# y\nz\n")
        for _ in range(3):
            self.assertEqual(self.after(), [1])
        self.assertEqual(len(self.logged), 1)
        self.assertIn("line 2: ", self.logged[0])
        self.assertIn("line 5: ", self.logged[0])
        self.write(b"1\n\xff")
        self.after()
        self.assertEqual(self.logged[1], "line 2: no UTF-8")
        self.write("\ufeff3")
        self.assertEqual(self.after(), [3])

    def test_gone(self) -> None:
        """
        The old value stays, with one warning, until there is a file again.
        """
        self.watch()
        content = b"1\n"
        os.unlink(self.path)
        for _ in range(3):
            self.assertEqual(self.after(), [1])
        self.assertEqual(self.logged, ["No such file or directory"])
        self.write(content + b"2\n")
        self.assertEqual(self.after(), [1, 2])

    def test_being_written(self) -> None:
        """
        What was written a moment ago may not be whole: it is read when it has settled, or at the fourth look, as there
        are files that somebody writes to all the time.
        """
        self.watch()
        self.write("2\n")
        os.utime(self.path, (5.0, 4.5))
        self.assertEqual(self.after(), [1])
        self.assertEqual(self.after(), [2])
        self.write("3\n")
        for _ in range(MOST_POSTPONED):
            later = self.services.clock.seconds() + 5.0
            os.utime(self.path, (later, later))
            self.assertEqual(self.after(), [2])
        os.utime(self.path, (later + 5.0, later + 5.0))
        self.assertEqual(self.after(), [3])
        self.assertEqual(self.logged, [])

    def test_written_while_it_is_read(self) -> None:
        """
        So is what changes under our hands.
        """
        path = self.path

        class Slow(io.FileIO):
            def read(self, size: int | None = -1, /) -> bytes:
                content = super().readall()
                with open(path, "a") as file:
                    file.write("5\n")
                return content

        known = look(path, None, numbers).stamp
        self.write("3\n")
        os.utime(path, (1.0, 1.0))
        self.patch(files, "_opened", Slow)
        self.assertEqual(look(path, known, numbers, 5.0), Seen(known, unsettled=True))
        self.assertEqual(look(path, known, numbers).value, ([3, 5],))

    def test_emptied(self) -> None:
        """
        The old value stays where nothing is left: whoever writes a list anew may have begun so. A comment tells that it
        is meant, and at the start there may be nothing.
        """
        self.watch()
        self.write("")
        for _ in range(3):
            self.assertEqual(self.after(), [1])
        self.assertEqual(len(self.logged), 1)
        self.assertIn("empty", self.logged[0])
        self.write("# nothing\n")
        self.assertEqual(self.after(), [])
        self.write("")
        self.watch()
        self.assertEqual(self.watched.value, [])

    def test_a_folder(self) -> None:
        """
        A folder in its place is no file, and keeps no descriptor open.
        """
        self.watch()
        os.unlink(self.path)
        os.mkdir(self.path)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            self.assertEqual(self.after(), [1])
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.assertEqual(self.logged, ["Is a directory"])

    def test_at_start(self) -> None:
        """
        What cannot be used is an error that names the file.
        """
        self.write("x")
        self.assertIn(f"{self.path}: line 1: ", str(self.assertRaises(ValueError, self.watch)))
        os.unlink(self.path)
        self.assertIn("No such file", str(self.assertRaises(ValueError, self.watch)))
        os.mkfifo(self.path)
        self.assertIn("no regular file", str(self.assertRaises(ValueError, self.watch)))

    def test_many_problems(self) -> None:
        """
        Of a file that is no such list, some lines are told.
        """
        problem = str(self.assertRaises(ValueError, numbers, "x\n" * 1000))
        self.assertEqual(problem.count("line "), MOST_PROBLEMS)
        self.assertIn("and 980 more", problem)
