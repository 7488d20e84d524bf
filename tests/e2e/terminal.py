"""
A terminal with somebody before it: programs run in it, keys are pressed, and what is on its screen is read.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pexpect
import pyte

from tests.e2e.processes import TooLate

KEPT: Final = Path(__file__).parents[2] / "docs" / "screens"
"""
Where screens are kept for the docs. EMPATH_KEEP_SCREENS=1 writes them anew.
"""


class Session:
    """
    `empathctl` in a terminal of so many columns and lines; `sip` octets are read at a time: what shows for a moment is
    missed if there are many.
    """

    def __init__(self, socket: Path, *arguments: str, columns: int, lines: int, sip: int = 65536) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._sip = sip
        environment = {
            **{name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}},
            "EMPATH_CONTROL_SOCKET": str(socket),
            "TERM": "xterm-256color",
            "TZ": "UTC",
        }
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            sys.executable,
            ["-m", "empath.ctl", *arguments],
            dimensions=(lines, columns),
            env=environment,
            timeout=None,
        )

    def text(self) -> str:
        """
        Read the screen, without the blanks at the ends of its lines and below its last one.
        """
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def wait(self, what: str, holds: Callable[[str], bool] | None = None, seconds: float = 30.0) -> str:
        """
        Wait until `what` is on the screen, or what is on it `holds`, and give the screen; TooLate otherwise.
        """
        tries = int(seconds * 20)
        while not (holds(self.text()) if holds else what in self.text()):
            if tries <= 0 or (came := self._read()) is None:
                raise TooLate(f"not seen: {what}\n{self.text()}\n{skeleton(self.text())}")
            tries -= not came
        return self.text()

    def compare(self, name: str, holds: Callable[[str], bool], shape: Callable[[str], object] | None = None) -> None:
        """
        Wait until the screen is as it was kept under `name`, but for what varies, or in `shape`. Where
        screens are to be kept, wait until it `holds`, and keep it.
        """
        if os.environ.get("EMPATH_KEEP_SCREENS") == "1":
            self.wait(name, holds)
            KEPT.mkdir(parents=True, exist_ok=True)
            (KEPT / f"{name}.txt").write_text(self.text() + "\n")
        shape = shape or skeleton
        expected = shape((KEPT / f"{name}.txt").read_text())
        self.wait(name, lambda screen: shape(screen) == expected)

    def press(self, keys: str) -> None:
        """
        Press keys.
        """
        self.child.send(keys)

    def resize(self, columns: int, lines: int) -> None:
        """
        Make the window another size.
        """
        self.screen.resize(lines, columns)
        self.child.setwinsize(lines, columns)

    def ended(self, seconds: float = 30.0) -> int | None:
        """
        Wait for the end and give the exit code; TooLate if it goes on.
        """
        tries = int(seconds * 20)
        while (came := self._read()) is not None:
            tries -= not came
            if tries == 0:
                raise TooLate(f"it goes on\n{self.text()}")
        self.child.wait()
        self.child.close()
        return self.child.exitstatus

    def sockets(self) -> set[str]:
        """
        Tell the sockets that the program has open.
        """
        folder = Path(f"/proc/{self.child.pid}/fd")
        links = [os.readlink(each) for each in folder.iterdir() if each.is_symlink()]
        return {link for link in links if link.startswith("socket:")}

    def _read(self) -> bool | None:
        """
        Read what was written meanwhile; False if that is nothing, None at the end.
        """
        try:
            octets = self.child.read_nonblocking(self._sip, 0.05)
        except pexpect.TIMEOUT:
            return False
        except pexpect.EOF:
            return None
        self.raw += octets
        self._stream.feed(octets)
        return True


WHEN: Final = r"\d{2}:\d{2}:\d{2}(?:\.\d{3})?|\d{2} [A-Z][a-z]{2}(?: \d{4})? \d{2}:\d{2}"
NUMBER: Final = r"(?<![\w.-])\d[\d,.]*(?:ms|[BKMsmhd])?(?: (?:\d+[smh]|B|KiB|MiB))?(?:/s)?(?![\w-])"


def skeleton(screen: str) -> str:
    """
    Tell what of a screen is always the same: its words, with marks for ids, times and numbers, and without what aligns
    and wraps them.
    """
    words = re.sub(r"\b01[0-9A-HJKMNP-TV-Z]{24}\b|\b[0-9a-f]{8}-\d+\b", "ID", " ".join(screen.split()))
    words = re.sub(NUMBER, "N", re.sub(WHEN, "WHEN", words))
    return re.sub(r"\bnow\b", "N ago", re.sub("[━╸╺]+", "BAR", words))
