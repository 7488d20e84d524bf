"""
A terminal with somebody before it: programs run in it, keys are pressed, and what is on its screen is read.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte

from tests.e2e.processes import TooLate

KEPT = Path(__file__).parents[2] / "docs" / "screens"
"""
Where screens are kept for the docs. EMPATH_KEEP_SCREENS=1 writes them anew.
"""


class Session:
    """
    `empathctl` in a terminal of so many columns and lines.
    """

    def __init__(self, socket: Path, *arguments: str, columns: int = 100, lines: int = 24) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
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
            if tries == 0 or not self._read():
                raise TooLate(f"not seen: {what}\n{self.text()}")
            tries -= 1
        return self.text()

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
        while self._read():
            tries -= 1
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

    def _read(self) -> bool:
        """
        Read what was written meanwhile; False at the end.
        """
        try:
            octets = self.child.read_nonblocking(65536, 0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += octets
        self._stream.feed(octets)
        return True


def skeleton(screen: str) -> list[str]:
    """
    Tell what of a screen is always the same: its words, "N" for each number with its unit, and no blanks that align.
    """
    lines = []
    for line in screen.splitlines():
        words = re.sub(r"\b01[0-9A-HJKMNP-TV-Z]{24}\b", "ID", line)
        words = re.sub(r"\d{2}:\d{2}:\d{2}", "TIME", words)
        words = re.sub(r"(?<![\w.-])\d[\d,.]*(?:ms|KiB|MiB|[BKMsmhd])?(?:/s)?(?: \d+[smh])?(?![\w-])", "N", words)
        words = re.sub(r"\s+", " ", words).strip()
        lines.append(re.sub(r"N (?:B|KiB|MiB)(?:/s)?\b", "N", words))
    return lines


def keep(name: str, screen: str) -> list[str]:
    """
    Keep a screen for the docs where that is wanted, and give the skeleton of the one that is kept.
    """
    file = KEPT / f"{name}.txt"
    if os.environ.get("EMPATH_KEEP_SCREENS") == "1":
        KEPT.mkdir(parents=True, exist_ok=True)
        file.write_text(screen + "\n")
    return skeleton(file.read_text())
