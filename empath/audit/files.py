"""
The files of a trail: the one that is written, those before it, and the note of how far the trail is on the disk.

`audit.jsonl` becomes `audit.jsonl.2026-11-21` at the end of that day, or `audit.jsonl.2026-11-21.2` where that is there
already, and with `.gz` at the end once it is compressed. `audit.jsonl.head` holds the place of the last record that was
synced, and is locked by who writes. Octets that a crash left behind the last whole record go to `audit.jsonl.torn`.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, cast

import attrs
import msgspec

from empath.audit.chain import GENESIS, Link, Seal, read_seal

MODE: Final = 0o600
_DATED: Final = re.compile(r"\.(\d{4}-\d\d-\d\d)(?:\.(\d+))?(\.gz)?")
_HEAD_SIZE: Final = 256  # octets, filled with blanks: it is written over in one piece
_BLOCK: Final = 64 * 1024
MOST_LINE: Final = 16 * 1024 * 1024  # octets: a record is never that long


class Head(msgspec.Struct, frozen=True):
    """
    The note: the last record that is on the disk for sure; `closed` where nothing was written after it.
    """

    seq: int = 0
    hash: str = GENESIS
    closed: bool = False


def rotated(path: Path) -> list[Path]:
    """
    Find the files before `path`, the oldest first.
    """
    found = []
    for name in os.listdir(path.parent):
        match = _DATED.fullmatch(name[len(path.name) :]) if name.startswith(path.name) else None
        if match is not None:
            found.append(((match[1], int(match[2] or 1)), path.with_name(name)))
    dated = [file for _, file in sorted(found)]
    whole = {file.name for file in dated if file.suffix != ".gz"}
    return [file for file in dated if file.name.removesuffix(".gz") not in whole or file.suffix != ".gz"]


def day_of(path: Path) -> str:
    """
    Tell from its name which day a rotated file begins with, "" for one that is not rotated.
    """
    match = re.search(_DATED.pattern + r"\Z", path.name)
    return match[1] if match else ""


def rotated_name(path: Path, day: str) -> Path:
    """
    Choose a name for a file that ends now, behind those of all before it: also where clocks were put back meanwhile, or
    somebody removed files.
    """
    before = rotated(path)
    latest = day_of(before[-1]) if before else ""
    if day > latest:
        return path.with_name(f"{path.name}.{day}")
    return path.with_name(f"{path.name}.{latest}.{_number_of(before[-1]) + 1}")


def _number_of(path: Path) -> int:
    match = re.search(_DATED.pattern + r"\Z", path.name)
    return int(match[2] or 1) if match else 1


def open_lines(path: Path) -> IO[bytes]:
    """
    Open a file of records for reading, compressed or not.
    """
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def bounded(lines: IO[bytes]) -> Iterator[bytes]:
    """
    Give the lines of a file, in place of each that is too long for a record an empty one: nobody has to hold it.
    """
    while line := lines.readline(MOST_LINE):
        if line.endswith(b"\n") or len(line) < MOST_LINE:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = lines.readline(MOST_LINE)
        yield line[-1:] or b"?"


def head_path(path: Path) -> Path:
    """
    Where the note of a trail is.
    """
    return path.with_name(path.name + ".head")


def torn_path(path: Path) -> Path:
    """
    Where half records go.
    """
    return path.with_name(path.name + ".torn")


def read_head(path: Path) -> Head | None:
    """
    Read the note of the trail at `path`; None if there is none that can be read.
    """
    try:
        return msgspec.json.decode(head_path(path).read_bytes(), type=Head)
    except (OSError, msgspec.DecodeError):
        return None


def is_written(path: Path) -> bool:
    """
    Tell whether some process is writing the trail at `path` now.
    """
    with suppress(OSError), head_path(path).open("rb") as head:
        try:
            fcntl.flock(head, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class HeadFile:
    """
    The note, as the one process holds it that writes the trail. BlockingIOError if another one does.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(head_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(self._descriptor)
            raise

    def write(self, link: Link, closed: bool = False) -> None:
        """
        Note where the trail is.
        """
        text = msgspec.json.encode(Head(link.seq, link.hash, closed)).ljust(_HEAD_SIZE - 1) + b"\n"
        os.pwrite(self._descriptor, text, 0)

    def close(self) -> None:
        """
        Let go of the trail.
        """
        os.close(self._descriptor)


@attrs.frozen(slots=True)
class Ending:
    """
    How a file ends: its last whole line, b"" if there is none; then the octets behind it, up to MOST_LINE, and how many
    there are.
    """

    line: bytes
    torn: bytes
    behind: int


def ending(descriptor: int, size: int) -> Ending:
    """
    Read the end of a file that is open.
    """
    begin, end = _last_breaks(descriptor, size)
    torn = os.pread(descriptor, min(size - end, MOST_LINE), end)
    return Ending(os.pread(descriptor, end - begin, begin), torn, size - end)


def _last_breaks(descriptor: int, size: int) -> tuple[int, int]:
    """
    Find where the last whole line begins and ends.
    """
    end, start = 0, size
    while start > 0:
        begin = max(0, start - _BLOCK)
        piece = os.pread(descriptor, start - begin, begin)
        at = piece.rfind(b"\n")
        if at >= 0 and not end:
            end = begin + at + 1
            at = piece.rfind(b"\n", 0, at)
        if at >= 0:
            return max(begin + at + 1, end - MOST_LINE), end
        if end and end - begin > MOST_LINE:
            return begin, end  # no line of ours is so long
        start = begin
    return max(0, end - MOST_LINE), end


def last_line(path: Path) -> bytes:
    """
    Read the last whole line of a file, b"" if there is none.
    """
    if path.suffix != ".gz":
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return ending(descriptor, os.fstat(descriptor).st_size).line
        finally:
            os.close(descriptor)
    last = b""
    with open_lines(path) as lines:
        for line in bounded(lines):
            last = line if line.endswith(b"\n") else last
    return last


def first_seal(path: Path) -> Seal | None:
    """
    Read what holds the first record of a file in its place; None if there is none.
    """
    try:
        with open_lines(path) as lines:
            return read_seal(lines.readline(MOST_LINE))
    except (OSError, EOFError, msgspec.DecodeError, ValueError):
        return None
