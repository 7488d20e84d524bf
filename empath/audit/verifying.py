"""
Whether a trail is as it was written: every record changed, removed, moved or added since is found and named.

Works on the files alone, beside a running empath or without one. What nobody can find in a file is that the whole of
it was written anew by somebody who may write it, hashes and all: for that, compare `last` with a hash kept elsewhere.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from empath.audit.chain import Link, own_hash, read_seal
from empath.audit.files import bounded, day_of, head_path, is_written, open_lines, read_head, rotated
from empath.errors import AuditError

MOST_FINDINGS: Final = 1000

Progress = Callable[[int, int], None]


@attrs.frozen(slots=True)
class Finding:
    """
    One thing that is not as it was written, at a line (from 1, 0 for a file as a whole) of a file, about a record.
    """

    file: str
    line: int
    seq: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: record {self.seq}: {self.what}"


@attrs.frozen(slots=True)
class Verification:
    """
    What was found in `files`: so many records, the number of the first one and where the chain ends; `findings` in the
    order of their records, not all of them if there are `more`. `notes` are worth knowing, and no trouble.
    """

    files: tuple[str, ...]
    records: int
    first: int
    last: Link
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    more: bool = False

    @property
    def sound(self) -> bool:
        """
        Whether all is as it was written.
        """
        return not self.findings


def verify(path: Path, anchor: str = "", progress: Progress | None = None) -> Verification:
    """
    Verify a trail: the file that is written, and all before it; or one rotated file by itself. `anchor` is a hash that
    must be in it; `progress` hears the files that are done, and how many there are. AuditError if it cannot be read.
    """
    if not path.exists() and not (path.parent.is_dir() and rotated(path)):
        raise AuditError(f"{path}: there is no such file")
    alone = bool(day_of(path))
    files = [path] if alone else [*rotated(path), *([path] if path.exists() else [])]
    head = None if alone else read_head(path)  # before the files: what is written meanwhile comes behind it
    check = _Check(anchor, alone)
    for done, file in enumerate(files):
        if progress is not None:
            progress(done, len(files))
        check.read(file, last=file == path)
    if progress is not None:
        progress(len(files), len(files))
    check.finish(files)
    if head is None and not alone:
        check.headless(path)
    if head is not None:
        check.compare(path, Link(head.seq, head.hash), head.closed and not is_written(path))
    return check.told(files)


class _Check:
    """
    Follows the chain, record after record.
    """

    def __init__(self, anchor: str, alone: bool) -> None:
        self._anchor = anchor
        self._alone = alone
        self._found: list[Finding] = []
        self._notes: list[str] = []
        self._more = False
        self._records = 0
        self._first: tuple[str, int, Link] | None = None  # and where it is; the link is the one before it
        self._last = Link(0, "")
        self._gaps: dict[int, tuple[int, str, int]] = {}  # by their first number: the last one, and where
        self._retired: set[Link] = set()
        self._place = ("", 0)

    def read(self, file: Path, last: bool) -> None:
        """
        Follow one file.
        """
        try:
            with open_lines(file) as lines:
                for number, line in enumerate(bounded(lines), 1):
                    self._place = (str(file), number)
                    self._line(line, last)
        except (OSError, EOFError, zlib.error) as error:
            self._place = (str(file), self._place[1] if self._place[0] == str(file) else 0)
            self._note(self._last.seq + 1, f"the file cannot be read from here on: {error}")

    def _line(self, line: bytes, last: bool) -> None:
        if not line.endswith(b"\n"):
            if last:
                self._notes.append(f"{self._place[0]} ends in half a record, which is being written, or was at a crash")
            else:
                self._note(self._last.seq + 1, "half a record")
            return
        try:
            seal = read_seal(line)
        except (msgspec.DecodeError, ValueError):
            self._note(self._last.seq + 1, "not a record")
            self._last = Link(self._last.seq + 1, "")
            return
        self._records += 1
        genuine = own_hash(line) == seal.hash
        if not genuine:
            self._note(seal.seq, "changed: its hash is not that of what it says")
        elif b'"files-removed"' in line:
            self._retire(line)
        if seal.hash == self._anchor:
            self._anchor = ""
        self._follow(seal.seq, seal.prev, seal.hash, genuine)

    def _follow(self, seq: int, prev: str, digest: str, genuine: bool) -> None:
        """
        Hold a record against the one before it.
        """
        if self._first is None:
            self._first = (*self._place, Link(seq - 1, prev))
        elif seq <= self._last.seq:
            self._backwards(seq)
            return
        elif seq > self._last.seq + 1:
            self._gaps[self._last.seq + 1] = (seq - 1, *self._place)
        elif self._last.hash and genuine and prev != self._last.hash:
            self._note(self._last.seq, "changed or replaced: the record behind it was chained to another one")
        self._last = Link(seq, digest)

    def _backwards(self, seq: int) -> None:
        """
        A record that should have come before: moved here, or here for a second time.
        """
        for first, (last, file, line) in list(self._gaps.items()):
            if first <= seq <= last:
                self._note(seq, f"out of its order: it belongs before line {line} of {file}")
                del self._gaps[first]
                if first < seq:
                    self._gaps[first] = (seq - 1, file, line)
                if seq < last:
                    self._gaps[seq + 1] = (last, file, line)
                return
        self._note(seq, f"added or repeated: record {self._last.seq} came before it")

    def finish(self, files: Iterable[Path]) -> None:
        """
        Tell what is missing at the end of all, and before the beginning.
        """
        for first, (last, file, line) in sorted(self._gaps.items()):
            which = f"record {first}" if first == last else f"records {first} to {last}"
            self._place = (file, line)
            self._note(first, f"removed: {which} should stand before this line")
        if self._first is None:
            return
        file, line, before = self._first
        if before == Link() or before in self._retired:
            return
        self._place = (file, line)
        if self._alone:
            self._notes.append(f"{file} goes on behind record {before.seq}, hash {before.hash}")
        elif before.seq == 0:
            self._note(1, "replaced: the first record of all is chained to another one")
        else:
            self._note(1, f"removed: records 1 to {before.seq}, and no record of the trail accounts for that")

    def compare(self, path: Path, head: Link, closed: bool) -> None:
        """
        Hold the end of the trail against the note of how far it came.
        """
        self._place = (str(path), 0)
        if self._last.seq < head.seq:
            self._note(self._last.seq + 1, f"removed: the trail was written up to record {head.seq}")
        elif self._last.seq == head.seq and self._last.hash != head.hash:
            self._note(head.seq, "replaced: another record was written last")
        elif closed and self._last.seq > head.seq:
            self._note(head.seq + 1, f"added: the trail was closed with record {head.seq}")

    def headless(self, path: Path) -> None:
        """
        Tell that nothing says how far the trail came.
        """
        if head_path(path).exists() and head_path(path).stat().st_size:
            self._place = (str(head_path(path)), 0)
            self._note(self._last.seq + 1, "this is not the note of how far the trail came, as it was written")
        self._notes.append(f"nothing tells how far the trail came: there is no {head_path(path).name} that can be read")

    def told(self, files: Iterable[Path]) -> Verification:
        """
        Sum up.
        """
        if self._anchor:
            self._place = ("", 0)
            self._note(0, f"no record has the hash {self._anchor}")
        first = 0 if self._first is None else self._first[2].seq + 1
        found = tuple(sorted(self._found, key=lambda each: each.seq))
        names = tuple(str(file) for file in files)
        return Verification(names, self._records, first, self._last, found, tuple(self._notes), self._more)

    def _note(self, seq: int, what: str) -> None:
        if len(self._found) < MOST_FINDINGS:
            self._found.append(Finding(*self._place, seq, what))
        else:
            self._more = True

    def _retire(self, line: bytes) -> None:
        """
        Take in which records the trail itself removed, once they were old.
        """
        told: Any = msgspec.json.decode(line)
        if told.get("action") == "files-removed" and told.get("resource") == "audit":
            removed = told["metadata"]
            self._retired.add(Link(removed["last_seq"], removed["last_hash"]))
