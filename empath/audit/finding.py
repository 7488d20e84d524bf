"""
What the trail tells of one message, found in its files without reading all of them.

A message's id tells when it came, so nothing before that is read; and who asks waits only so long.
"""

from __future__ import annotations

import mmap
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import attrs
import msgspec

from empath.audit.chain import read_seal
from empath.audit.files import MOST_LINE, day_of, open_lines, rotated
from empath.audit.recovery import DAY, date_of
from empath.mail.queue_id import is_queue_id

MOST_RECORDS: Final = 500
PATIENCE: Final = 5.0  # seconds
SLACK: Final = 60.0  # seconds: for clocks that were put back
LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PIECE: Final = 64 * 1024 * 1024


@attrs.frozen(slots=True)
class Found:
    """
    Records in their order, as JSON objects; `more` if there may be others.
    """

    records: tuple[dict[str, Any], ...]
    more: bool = False


def find(path: Path, queue_id: str, now: Callable[[], float], patience: float = PATIENCE) -> Found:
    """
    Find the records about a message, the newest files first. Blocks, for about `patience` seconds at most.
    """
    if not is_queue_id(queue_id):
        return Found(())
    since, until = _began(queue_id) - SLACK, now() + patience
    needle = f'"message_id":"{queue_id}"'.encode()
    records: list[dict[str, Any]] = []
    for file in reversed([*_since(rotated(path), since), path]):
        try:
            for line in _lines(file, needle, since, lambda: now() > until):
                records.append(msgspec.json.decode(line))
        except TimeoutError:
            return _sorted(records, more=True)
        except (OSError, EOFError, zlib.error, ValueError):
            continue  # damaged: verifying is what tells of that
        if len(records) >= MOST_RECORDS:
            return _sorted(records, more=True)
    return _sorted(records, more=False)


def _sorted(records: list[dict[str, Any]], more: bool) -> Found:
    records.sort(key=lambda record: record.get("seq", 0))
    return Found(tuple(records[:MOST_RECORDS]), more)


def _since(files: list[Path], since: float) -> list[Path]:
    """
    Leave out the files that ended before a time: each ends when the next one begins.
    """
    day = date_of(int(since // DAY))
    begun = [at for at, file in enumerate(files) if day_of(file) < day]
    return files[begun[-1] :] if begun else files


def _lines(file: Path, needle: bytes, since: float, late: Callable[[], bool]) -> Iterator[bytes]:
    if file.suffix == ".gz":
        with open_lines(file) as lines:
            yield from _packed(lines, needle, late)
        return
    with file.open("rb") as plain:
        if plain.seek(0, 2):
            with mmap.mmap(plain.fileno(), 0, access=mmap.ACCESS_READ) as whole:
                yield from _mapped(whole, needle, since, late)


def _packed(lines: IO[bytes], needle: bytes, late: Callable[[], bool]) -> Iterator[bytes]:
    """
    Look through a compressed file, from its beginning.
    """
    rest = b""
    while piece := lines.read(1024 * 1024):
        whole, _, rest = (rest + piece).rpartition(b"\n")
        rest = rest if len(rest) <= MOST_LINE else b""
        if needle in whole:
            yield from (line for line in whole.split(b"\n") if needle in line)
        if late():
            raise TimeoutError


def _mapped(whole: mmap.mmap, needle: bytes, since: float, late: Callable[[], bool]) -> Iterator[bytes]:
    """
    Look through a file from the first record of a time on.
    """
    at = _first(whole, since)
    size = len(whole)
    while at < size:
        hit = whole.find(needle, at, at + _PIECE)
        if hit < 0:
            at += _PIECE - len(needle)
        else:
            begin, end = whole.rfind(b"\n", 0, hit) + 1, whole.find(b"\n", hit)
            if end < 0:
                return
            yield whole[begin:end]
            at = end + 1
        if late():
            raise TimeoutError


def _first(whole: mmap.mmap, since: float) -> int:
    """
    Find, by halving, where the first record of a time on begins.
    """
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(max(since, 0)))
    low, high = 0, len(whole)
    while high - low > 64 * 1024:
        middle = (low + high) // 2
        begin = whole.find(b"\n", middle, high) + 1
        end = whole.find(b"\n", begin, high) if begin else -1
        if end < 0:
            break
        try:
            earlier = read_seal(whole[begin:end]).time < stamp
        except (msgspec.DecodeError, ValueError):
            break
        if earlier:
            low = begin
        else:
            high = middle
    return low


def _began(queue_id: str) -> float:
    """
    Tell when a message came, in seconds since the epoch: the first 50 bits of a ULID are milliseconds.
    """
    number = 0
    for letter in queue_id[:10]:
        number = number * 32 + LETTERS.index(letter)
    return number / 1000
