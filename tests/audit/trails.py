"""
Trails in files, made for tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from empath.audit import safety_records
from empath.audit.making import Capture, Maker, Redaction
from empath.audit.writing import TrailFile

NOON: float = 1_790_000_000.0 // 86400 * 86400 + 43200
DAY: float = 86400.0


def happened(number: int, when: float = NOON) -> Capture:
    """
    Capture something that is easily told from others.
    """
    return (safety_records.trail, when, f"step-{number}", "ok", {"number": number})


def trail(path: Path | None, daily: bool = True, redaction: Redaction | None = None) -> TrailFile:
    """
    Make a trail that is not open.
    """
    return TrailFile(path, Maker(redaction or Redaction()), daily)


def written(path: Path, count: int, when: float = NOON) -> list[bytes]:
    """
    Write a trail of so many records between those of its opening and its end; tells its lines.
    """
    file = trail(path)
    file.open(when)
    file.write([happened(number, when) for number in range(count)], sync=True)
    file.close(when)
    return path.read_bytes().splitlines(keepends=True)


def rewritten(path: Path, lines: Sequence[bytes]) -> None:
    """
    Put other lines in the place of a trail's, as somebody would who has an editor.
    """
    path.write_bytes(b"".join(lines))
