"""
Files of the trail that are no longer written: compressed, and removed once they are old enough.

Retried, with the next round: whatever goes wrong. A file is only replaced by one that is whole and on the disk.
"""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import attrs
from twisted.logger import Logger

from empath.audit.chain import Link, link_of
from empath.audit.files import MODE, first_seal, last_line, rotated
from empath.folders import sync_folder

PIECE: Final = 256 * 1024
LEVEL: Final = 6

log = Logger()


@attrs.frozen(slots=True)
class Removed:
    """
    A file to be removed: its records go from `first` to `last`.
    """

    file: Path
    first: int
    last: Link


def outdated(path: Path, before: float) -> list[Removed]:
    """
    Find the oldest rotated files that were last written before a time (seconds since the epoch). One whose end is not
    as it was written stays, and all behind it: somebody should look at it.
    """
    found = []
    for file in rotated(path):
        if os.stat(file).st_mtime >= before:
            break
        first, last = first_seal(file), link_of(last_line(file))
        if first is None or last is None:
            log.error("audit trail: {file} is old enough to be removed, and stays: it is damaged", file=str(file))
            break
        found.append(Removed(file, first.seq, last))
    return found


def remove(removed: list[Removed]) -> None:
    """
    Remove files, once the trail tells of that.
    """
    for each in removed:
        with suppress(FileNotFoundError):
            os.unlink(each.file)
        log.info("audit trail: {file} removed, as it is old", file=str(each.file))


def compress(path: Path, cancelled: Callable[[], bool]) -> None:
    """
    Compress all rotated files that are not, until that is `cancelled`.
    """
    for name in os.listdir(path.parent):
        if name.startswith(f"{path.name}.") and name.endswith(".gz.new"):
            os.unlink(path.with_name(name))
    for file in rotated(path):
        if file.suffix != ".gz" and not cancelled():
            _compress(file, cancelled)


def _compress(file: Path, cancelled: Callable[[], bool]) -> None:
    final = file.with_name(file.name + ".gz")
    new = final.with_name(final.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    found = file.stat()
    try:
        with open(descriptor, "wb") as raw:
            if not _packed(file, raw, int(found.st_mtime), cancelled):
                os.unlink(new)
                return
    except OSError:
        os.unlink(new)  # a full disk is the fuller by it
        raise
    shutil.copystat(file, new)
    os.replace(new, final)
    sync_folder(file.parent)
    os.unlink(file)


def _packed(file: Path, raw: IO[bytes], changed: int, cancelled: Callable[[], bool]) -> bool:
    """
    Compress a file into another; tells whether it is whole, and on the disk.
    """
    with file.open("rb") as plain, gzip.GzipFile("", "wb", LEVEL, raw, mtime=changed) as packed:
        while piece := plain.read(PIECE):
            packed.write(piece)
            if cancelled():
                return False
    raw.flush()
    os.fsync(raw.fileno())
    return True
