"""
Files that modules follow: read at start, and again when they have changed.

Fatal: a file that cannot be read or has a wrong line at start (ValueError). Retried: the same later; until then the
value stays that of the last good file, and a warning is logged once for each bad one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from empath.interfaces import IServices

T = TypeVar("T")

MOST_PROBLEMS: Final = 20  # wrong lines of a file that are told; more are counted

log = Logger()


@attrs.frozen(slots=True)
class Stamp:
    """
    What tells one state of a file from the next: inode, size, times of change in ns; all 0 for no file.
    """

    inode: int = 0
    size: int = 0
    modified: int = 0
    changed: int = 0


@attrs.frozen(slots=True)
class Seen(Generic[T]):
    """
    One look at a file: `value` is empty where nothing changed, or where nothing could be used for the `problem`.
    """

    stamp: Stamp
    value: tuple[T] | tuple[()] = ()
    problem: str = ""


class WatchedFile(Generic[T]):
    """
    A file whose `value` is what `read` makes of its text; `read` raises ValueError, with line numbers, for a wrong one.

    It is made in a module's `start`: the file is read there and then, ValueError names what is wrong. Every `interval`
    seconds it is looked at, and read again if it was replaced or changed; that is done in one of the module's threads,
    `read` too. A relative path lies beside the configuration file. `value` is replaced as a whole, never changed: what
    was taken of it before stays as it was.
    """

    __slots__ = ("_read", "_services", "_stamp", "path", "value")

    def __init__(self, path: str, read: Callable[[str], T], services: IServices, interval: float = 5.0) -> None:
        self.path = os.path.join(services.folder, path)
        self._read = read
        self._services = services
        self._stamp = Stamp()
        seen = look(self.path, self._stamp, read)
        if not seen.value:
            raise ValueError(f"{self.path}: {seen.problem}")
        self.value: T = seen.value[0]
        self._stamp = seen.stamp
        services.every(interval, self.look)

    def look(self) -> Deferred[None]:
        """
        Look whether the file has changed, and read it if so; fires when that is done.
        """
        path, stamp, read = self.path, self._stamp, self._read
        looked: Deferred[Seen[T]] = self._services.in_thread(lambda: look(path, stamp, read))
        return looked.addCallback(self._saw)

    def _saw(self, seen: Seen[T]) -> None:
        """
        Take what the look brought.
        """
        if seen.stamp == self._stamp:
            return
        self._stamp = seen.stamp
        if seen.value:
            self.value = seen.value[0]
            log.info("{path} was read again", path=self.path)
        else:
            log.warn("{path}: stays as it was read before: {problem}", path=self.path, problem=seen.problem)


def look(path: str, known: Stamp, read: Callable[[str], T]) -> Seen[T]:
    """
    Read the file if it is not as it was at `known`. Blocks.
    """
    stamp = Stamp()
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:  # a pipe would block
            status = os.fstat(file.fileno())
            stamp = Stamp(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if stamp == known:
                return Seen(stamp)
            if not stat.S_ISREG(status.st_mode):
                return Seen(stamp, problem="no regular file")
            content = file.read()
        return Seen(stamp, (read(content.decode("utf-8-sig")),))
    except OSError as trouble:
        return Seen(Stamp(), problem=trouble.strerror or str(trouble))  # the next look tries again
    except UnicodeDecodeError as trouble:
        return Seen(stamp, problem=f"line {content[: trouble.start].count(10) + 1}: no UTF-8")
    except ValueError as trouble:
        return Seen(stamp, problem=str(trouble))


def entries(text: str) -> Iterator[tuple[int, str]]:
    """
    Give a text's lines with their numbers, without surrounding blanks; empty ones and those that begin with "#" not.
    """
    at, number = 0, 1
    while at < len(text):  # not all at once: a million of lines would hold up all other threads
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        entry = text[at:end].strip()
        if entry and not entry.startswith("#"):
            yield number, entry
        at, number = end + 1, number + 1


def each_line(lines: Iterable[tuple[int, str]], take: Callable[[str], object]) -> None:
    """
    Give each of these lines (see `entries`) to `take`; then raise one ValueError that tells, with their numbers, the
    lines for which it did.
    """
    problems: list[str] = []
    count = 0
    for number, line in lines:
        try:
            take(line)
        except ValueError as problem:
            count += 1
            if count <= MOST_PROBLEMS:
                problems.append(f"line {number}: {problem}")
    if count > MOST_PROBLEMS:
        problems.append(f"and {count - MOST_PROBLEMS} more")
    if problems:
        raise ValueError("; ".join(problems))
