"""
Files that modules follow: read at start, and again when they have changed.

Fatal: a file that cannot be read or has a wrong line at start (ValueError). Retried: the same later; until then the
value stays that of the last good file, and a warning is logged once for each bad one, or one without a single octet:
that is what a list looks like which takes its time to be written anew. Left for the next look: a file that is being
written.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from typing import BinaryIO, Final, Generic, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from empath.interfaces import IServices

T = TypeVar("T")

MOST_PROBLEMS: Final = 20  # wrong lines of a file that are told; more are counted
SETTLED: Final = 1.0  # seconds after which what was written is taken to be whole
MOST_POSTPONED: Final = 3  # looks, one after the other, that find a file being written; then it is read as it is

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
    `unsettled` tells that it was left for the next look.
    """

    stamp: Stamp
    value: tuple[T] | tuple[()] = ()
    problem: str = ""
    unsettled: bool = False


class WatchedFile(Generic[T]):
    """
    A file whose `value` is what `read` makes of its text; `read` raises ValueError, with line numbers, for a wrong one.

    It is made in a module's `start`: the file is read there and then, ValueError names what is wrong. Every `interval`
    seconds it is looked at, and read again if it was replaced or changed; that is done in one of the module's threads,
    `read` too. One that changes while it is read, or did so a moment ago, is read at a later look, when it is whole. A
    relative path lies beside the configuration file. `value` is replaced as a whole, never changed: what was taken of
    it before stays as it was.
    """

    __slots__ = ("_postponed", "_read", "_services", "_stamp", "path", "value")

    def __init__(self, path: str, read: Callable[[str], T], services: IServices, interval: float = 5.0) -> None:
        self.path = os.path.join(services.folder, path)
        self._read = read
        self._services = services
        self._postponed = 0
        seen = look(self.path, None, read)
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
        now = self._services.clock.seconds() if self._postponed < MOST_POSTPONED else None
        looked: Deferred[Seen[T]] = self._services.in_thread(lambda: look(path, stamp, read, now))
        return looked.addCallback(self._saw)

    def _saw(self, seen: Seen[T]) -> None:
        """
        Take what the look brought.
        """
        self._postponed = self._postponed + 1 if seen.unsettled else 0
        if seen.stamp == self._stamp:
            return
        self._stamp = seen.stamp
        if seen.value:
            self.value = seen.value[0]
            log.info("{path} was read again", path=self.path)
        else:
            log.warn("{path}: stays as it was read before: {problem}", path=self.path, problem=seen.problem)


def look(path: str, known: Stamp | None, read: Callable[[str], T], now: float | None = None) -> Seen[T]:
    """
    Read the file if it is not as it was at `known` (None: it is the first look), and nobody seems to write it `now`
    (None: even then). Blocks.
    """
    stamp = Stamp()
    try:
        with _opened(path) as file:
            status = os.fstat(file.fileno())
            stamp = _stamp_of(status)
            if stamp == known:
                return Seen(stamp)
            if not stat.S_ISREG(status.st_mode):
                return Seen(stamp, problem="no regular file")
            if known and now is not None and 0.0 <= now - status.st_mtime < SETTLED:
                return Seen(known, unsettled=True)
            content = file.read()
            if known and now is not None and _stamp_of(os.fstat(file.fileno())) != stamp:
                return Seen(known, unsettled=True)
            if known and not content:
                return Seen(stamp, problem="it is empty now; if that is meant, write a comment into it")
        return Seen(stamp, (read(content.decode("utf-8-sig")),))
    except OSError as trouble:
        return Seen(Stamp(), problem=trouble.strerror or str(trouble))  # the next look tries again
    except UnicodeDecodeError as trouble:
        return Seen(stamp, problem=f"line {content[: trouble.start].count(10) + 1}: no UTF-8")
    except ValueError as trouble:
        return Seen(stamp, problem=str(trouble))


def _opened(path: str) -> BinaryIO:
    """
    Open a file to read it; a pipe must not block, nor a folder keep its descriptor, as `open` by a number would let it.
    """
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))


def _stamp_of(status: os.stat_result) -> Stamp:
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def each_line(lines: Iterable[tuple[int, str]], take: Callable[[str], object]) -> None:
    """
    Give each of these lines to `take`; then raise one ValueError that tells, with their numbers, the
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
