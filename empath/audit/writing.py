"""
The chain as it is written, in a thread of its own: a record stands in the file whole, or not at all.

Fatal, raised by `open` as AuditError: a file that cannot be opened, or that another process writes. Told, and to be
tried again by who called: trouble while writing, such as a full disk. An event of which no record can be made is a bug,
logged and counted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import attrs
from twisted.logger import Logger

from empath.audit import safety_records
from empath.audit.appending import Appender
from empath.audit.chain import Link, Record, sealed
from empath.audit.files import HeadFile
from empath.audit.making import Capture, Maker
from empath.audit.recovery import DAY, date_of, take_up
from empath.errors import DENIED, AuditError

PIECE: Final = 1024 * 1024  # octets that are written at once

log = Logger()


@attrs.define(slots=True)
class Written:
    """
    What came of a batch: so many of its captures are `done`, which made so many `records`; `trouble` is why the others
    are not, or are not on the disk. Of `faults` captures no record could be made. `ended` are files that were rotated,
    `lines` what was written, where somebody else is to have it.
    """

    done: int = 0
    records: int = 0
    faults: int = 0
    trouble: str = ""
    ended: list[Path] = attrs.field(factory=list)
    lines: list[bytes] = attrs.field(factory=list)


class TrailFile:
    """
    Where records go, chained. `path` None: to no file, only to those who want the `lines`. All calls in one thread.
    """

    def __init__(
        self,
        path: Path | None,
        maker: Maker,
        daily: bool,
        wants_lines: bool = False,
        fsync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self.path = path
        self.maker = maker
        self.daily = daily
        self.wants_lines = wants_lines
        self.link = Link()
        self._file = None if path is None else Appender(path, fsync)
        self._head: HeadFile | None = None
        self._day = 0  # the earliest of the file's records, in days since the epoch; 0 without one

    def open(self, now: float) -> None:
        """
        Open the file, and take up the chain where it stands.
        """
        if self.path is None or self._file is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._head = HeadFile(self.path)
            taken = take_up(self.path, self._file)
        except BlockingIOError as error:
            raise AuditError(f"audit trail: {self.path} is written by another process") from error
        except OSError as error:
            self._let_go()
            text = f"audit trail: {self.path} cannot be opened: {error.strerror}"
            raise AuditError(text, error.errno in DENIED) from error
        self.link, self._day = taken.link, taken.day
        written = self.write([(safety_records.trail, now, "trail-opened", "ok", taken.told)], sync=True)
        if written.trouble:
            self._let_go()
            raise AuditError(f"audit trail: {self.path} cannot be written: {written.trouble}")

    def forgo(self) -> None:
        """
        Write no file: it could not be opened.
        """
        self.path = self._file = None

    def write(self, batch: Sequence[Capture], sync: bool) -> Written:
        """
        Make records of captures and write them; with `sync` all that was written is on the disk when this returns.
        """
        written = Written()
        try:
            self._write(batch, written)
            if sync:
                self._sync()
        except OSError as error:
            written.trouble = error.strerror or str(error)
        return written

    def close(self, now: float) -> None:
        """
        End the trail for now.
        """
        if self._head is None:
            return
        written = self.write([(safety_records.trail, now, "trail-closed", "ok", {})], sync=True)
        if written.trouble:
            log.error("audit trail: {path} was not closed: {why}", path=str(self.path), why=written.trouble)
        else:
            self._head.write(self.link, closed=True)
        log.info("audit trail: ends with record {seq}, hash {hash}", seq=self.link.seq, hash=self.link.hash)
        self._let_go()

    def _write(self, batch: Sequence[Capture], written: Written) -> None:
        """
        Write in pieces; what `written` tells of is in the file.
        """
        lines: list[bytes] = []
        size = 0
        seq, digest = self.link.seq, self.link.hash
        for at, capture in enumerate(batch):
            day = int(capture[1] // DAY)
            ended = self.daily and 0 < self._day < day
            if size >= PIECE or ended:
                self._append(lines, Link(seq, digest), at, written)
                lines, size = [], 0
            if ended:
                self._rotate(written)
            if not self._day or day < self._day - 1:  # after a clock was put back its next midnight ends the file
                self._day = day
            for record in self._made(capture, written):
                seq += 1
                line, digest = sealed(record, seq, digest)
                lines.append(line)
                size += len(line)
        self._append(lines, Link(seq, digest), len(batch), written)

    def _made(self, capture: Capture, written: Written) -> Sequence[Record]:
        try:
            return self.maker.make(capture)
        except Exception:
            log.failure("audit trail: no record can be made of an event, by a fault of empath's own")
            written.faults += 1
            return ()

    def _append(self, lines: list[bytes], link: Link, done: int, written: Written) -> None:
        """
        Write whole lines, or nothing of them.
        """
        if lines and self._file is not None:
            self._file.put(b"".join(lines))
        self.link = link
        written.records += len(lines)
        written.done = done
        if self.wants_lines:
            written.lines += lines

    def _sync(self) -> None:
        """
        Have all on the disk, and only then note where the trail is.
        """
        if self._file is not None and self._head is not None and self._file.sync():
            self._head.write(self.link)

    def _rotate(self, written: Written) -> None:
        if self._file is None:
            return
        ended = self._file.rotate(date_of(self._day))
        self._day = 0
        self._sync()
        if ended is None:
            return
        written.ended.append(ended)
        log.info(
            "audit trail: {path} ends with record {seq}, hash {hash}",
            path=str(ended),
            seq=self.link.seq,
            hash=self.link.hash,
        )

    def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._head is not None:
            self._head.close()
            self._head = None
