"""
Sessions of empathctl as docs/empathctl/*.txt keeps them: command lines and what they printed, genuine throughout.

What differs from run to run (ids, times, ports, sizes) is masked on both sides before they are compared, and
so is how far columns stand apart. With EMPATH_RECORD=1 in the environment a session that differs is written anew.
"""

from __future__ import annotations

import ctypes
import difflib
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs" / "empathctl"
VARIABLE: Final = "EMPATH_RECORD"
_SPAN: Final = r"-?\d+(?:\.\d+)?(?:ms|[smhd]| s| min| h| d)(?: \d+[smh])?"
_VARYING_NUMBERS: Final = (
    "pid|port|uptime|age|ttl|seconds|idle|octets|octets_in|octets_out|database_octets|wal_octets|file_octets|free|size|"
    "hits|misses|evictions|refreshes|stand_ins|hit_ratio|records|waiting|seq|loop_latency|duration_ms|attempts_total|"
    "dns|connect|tls|transaction|in_flight|first|counted|ready"
)
MASKS: Final = (
    (r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b", "<id>"),
    (r"\b[0-9a-f]{8}-\d+\b", "<session>"),
    (r"\b[0-9a-f]{64}\b", "<hash>"),
    (r"--after [\w=-]+", "--after <cursor>"),
    (r'"after": ?"[\w=-]+"', '"after": "<cursor>"'),
    (r"\d+ \(\d+\.\d%\)", "<ratio>"),
    (r"(misses +|cached +|Forgot |\"cleared\": )\d+", r"\1<number>"),
    (r"\b[0-9a-f]{32}\b", "<trace>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00| [A-Z]{3,4})?", "<time>"),
    (r"[A-Z][a-z]{2}, \d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000", "<time>"),
    (r"\b\d\d [A-Z][a-z]{2}(?: \d{4})? \d\d:\d\d\b", "<time>"),
    (r"\b\d\d:\d\d:\d\d\b", "<time>"),
    (rf"\b(?:in {_SPAN}|{_SPAN} ago|now)(?![\w-])", "<when>"),
    (rf"(?<![\w.]){_SPAN}(?![\w.])", "<span>"),
    (r"\d+(?:\.\d+)? (?:B|KiB|MiB|GiB|TiB)\b", "<size>"),
    (r"(\b127\.0\.0\.\d+\]?:|\btcp:|\.test:|\bport = )\d+", r"\1<port>"),
    (rf'("(?:{_VARYING_NUMBERS})": ?)-?[\d.]+(?:e-?\d+)?', r"\1<number>"),
    (r"(process )\d+", r"\1<pid>"),
    (r"(empath +|\"version\": ?\")\d+\.[\w.+]+", r"\1<version>"),
    (r"\b\d[\d,]* records?\b(?:, \d+ waiting)?|\brecord \d+", "<records>"),
    (r" {2,}", "  "),
)


def masked(text: str) -> str:
    """
    Leave out what differs from run to run.
    """
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return text


def _without_power() -> None:
    """
    Have the program that is about to run be held to permissions, even if it is root's (capabilities(7), prctl(2)).
    """
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


class Session:
    """
    One recorded session. `names` are put in for parts of what is printed that differ by machine; `environment` and
    `folder` are those of the commands.
    """

    def __init__(self, name: str, folder: Path, environment: dict[str, str], names: dict[str, str]) -> None:
        self._path = FOLDER / f"{name}.txt"
        self._folder = folder
        self._environment = {**os.environ, "TZ": "UTC", "COLUMNS": "120", **environment}
        self._names = names
        self._lines: list[str] = []
        self.codes: list[int] = []

    def remark(self, words: str) -> None:
        """
        Say what is so below.
        """
        self._lines.append(f"# {words}")

    def run(
        self, line: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None, powerless: bool = False
    ) -> str:
        """
        Run a command that is told as `line`, `powerless`: held to permissions even as root; gives what it printed.
        """
        command = [sys.executable, "-m", "empath.ctl", *arguments]
        around = self._environment | dict(environment or {})
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=self._folder,
            env=around,
            timeout=60,
            preexec_fn=_without_power if powerless else None,
        )
        broken_off = done.stdout != "" and not done.stdout.endswith("\n")
        printed = done.stdout + ("\n" if broken_off else "") + done.stderr
        if "Traceback" in printed:
            raise AssertionError(f"{line}\n{printed}")
        self.codes.append(done.returncode)
        self._lines += [f"$ {line}", *printed.splitlines()]
        self._lines += [f"(exit code {done.returncode})"] if done.returncode else []
        self._lines.append("")
        return done.stdout

    def text(self) -> str:
        """
        Give the whole session.
        """
        text = "\n".join(self._lines)
        for name, stand_in in self._names.items():
            text = text.replace(name, stand_in)
        return text

    def difference(self) -> str:
        """
        Hold it against what is kept, "" if that is the same, or keep it.
        """
        new = self.text()
        old = self._path.read_text() if self._path.exists() else ""
        if masked(old) == masked(new):
            return ""
        if os.environ.get(VARIABLE):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(new)
            return ""
        lines = difflib.unified_diff(masked(old).splitlines(), masked(new).splitlines(), "kept", "printed", lineterm="")
        return "\n".join((f"{self._path.name} (run with {VARIABLE}=1 to keep it):", *lines, ""))
