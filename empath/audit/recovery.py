"""
How a trail is taken up again: what a crash left is set aside, and what is missing is noted in the trail itself.
"""

from __future__ import annotations

import calendar
import os
import time
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.logger import Logger

from empath import __version__
from empath.audit.appending import Appender
from empath.audit.chain import Link, link_of
from empath.audit.files import MODE, first_seal, head_path, last_line, read_head, rotated, torn_path

DAY: Final = 86400

log = Logger()


@attrs.frozen(slots=True)
class Taken:
    """
    Where the chain goes on: behind `link`, in a file whose first record is of `day` (days since the epoch, 0 for an
    empty one). `told` is what the first record of this run tells of how the trail was found.
    """

    link: Link
    day: int
    told: dict[str, Any]


def take_up(path: Path, file: Appender) -> Taken:
    """
    Open a trail to write behind what is there. OSError if that is not possible.
    """
    told: dict[str, Any] = {"empath": __version__, "pid": os.getpid()}
    head, found = read_head(path), file.open()
    if found.behind > len(found.torn):  # more than any crash leaves
        file.end_line()
    elif found.torn:
        _set_aside(path, found.torn, told)
        file.cut(found.behind)
    line = found.line or _before(path)
    there = link_of(line) if line else Link()
    noted = Link() if head is None else Link(head.seq, head.hash)
    if head is None and line:
        told["head"] = "missing: whether records were removed from the end is not known"
        log.warn("audit trail: {head} is missing or damaged", head=str(head_path(path)))
    if there is None:
        told["found"] = f"the last record is not as it was written; what follows is chained to record {noted.seq}"
    elif there.seq < noted.seq:
        told["found"] = f"records {there.seq + 1} to {noted.seq} are missing"
    elif there.seq == noted.seq and there.hash != noted.hash:
        told["found"] = f"record {there.seq} is not the one that was written"
    elif head is not None and head.closed and there.seq > noted.seq:
        told["found"] = f"records {noted.seq + 1} to {there.seq} were added by somebody else"
    if "found" in told:
        log.critical("audit trail: {path}: {found}", path=str(path), found=told["found"])
        there = noted
    return Taken(there or noted, _day_of(path) if found.line else 0, told)


def date_of(day: int) -> str:
    """
    Write a day as ISO 8601.
    """
    return time.strftime("%Y-%m-%d", time.gmtime(day * DAY))


def _before(path: Path) -> bytes:
    """
    Find the last record of the files before this one.
    """
    files = rotated(path)
    return last_line(files[-1]) if files else b""


def _day_of(path: Path) -> int:
    seal = first_seal(path)
    try:
        return calendar.timegm(time.strptime(seal.time[:10], "%Y-%m-%d")) // DAY if seal is not None else 0
    except ValueError:
        return 0


def _set_aside(path: Path, torn: bytes, told: dict[str, Any]) -> None:
    """
    Keep half a record beside the trail, and tell of it.
    """
    descriptor = os.open(torn_path(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, MODE)
    try:
        os.write(descriptor, torn + b"\n")
    finally:
        os.close(descriptor)
    told["torn"] = {"octets": len(torn), "sha256": sha256(torn).hexdigest()}
    log.warn(
        "audit trail: {path} ended with {octets} octets of half a record, as after a crash; they are in {aside} now",
        path=str(path),
        octets=len(torn),
        aside=str(torn_path(path)),
    )
