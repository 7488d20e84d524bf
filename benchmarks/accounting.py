"""
What an MTA uses: CPU seconds and memory of all its processes, those that have ended included.

With a writable control group (cpuacct of version 1, or version 2) the kernel counts. Without one, the times of the
living processes and of the children they waited for are added up from /proc; what a process used whose parent never
waits for it is then lost, which is none of the MTAs here.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Protocol

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
CGROUPS = Path("/sys/fs/cgroup")


class Account(Protocol):
    """
    The processes of one MTA.
    """

    how: str

    def join(self) -> None:
        """
        Put the calling process in; called in the child, before it becomes the MTA.
        """

    def pids(self) -> list[int]:
        """
        List the living processes.
        """

    def cpu(self) -> float:
        """
        Tell user and system seconds used so far.
        """

    def close(self) -> None:
        """
        Let go of the account once its processes have ended.
        """


class ControlGroup:
    """
    A control group of its own; `usage` is the file with the CPU time, `scale` its unit in seconds.
    """

    def __init__(self, folder: Path, usage: str, scale: float) -> None:
        self.how = "control group"
        self._folder = folder
        self._usage = usage
        self._scale = scale
        folder.mkdir()

    def join(self) -> None:
        (self._folder / "cgroup.procs").write_text(str(os.getpid()))

    def pids(self) -> list[int]:
        return [int(pid) for pid in (self._folder / "cgroup.procs").read_text().split()]

    def cpu(self) -> float:
        first = (self._folder / self._usage).read_text().split("\n", 1)[0]
        return int(first.split()[-1]) * self._scale

    def close(self) -> None:
        self._folder.rmdir()


class ProcessTree:
    """
    Processes and their descendants, as /proc tells them.
    """

    def __init__(self) -> None:
        self.how = "/proc"
        self._roots: list[int] = []

    def adopt(self, root: int) -> None:
        """
        Tell a pid at the top.
        """
        self._roots.append(root)

    def join(self) -> None:
        pass

    def pids(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (fields := stat_fields(int(entry.name))):
                children.setdefault(int(fields[1]), []).append(int(entry.name))
        found, open_ends = [], list(self._roots)
        while open_ends:
            pid = open_ends.pop()
            found.append(pid)
            open_ends += children.get(pid, [])
        return found

    def cpu(self) -> float:
        times = (stat_fields(pid)[11:15] for pid in self.pids())  # utime, stime, and both of the children waited for
        return sum(int(ticks) for four in times for ticks in four) / TICKS

    def close(self) -> None:
        pass


def open_account(name: str) -> Account:
    """
    Open the best account that this machine allows.
    """
    tries = (
        (CGROUPS / "cpuacct" / name, "cpuacct.usage", 1e-9),
        (CGROUPS / name, "cpu.stat", 1e-6),
    )
    for folder, usage, scale in tries:
        try:
            if (folder.parent / usage).exists():
                return ControlGroup(folder, usage, scale)
        except OSError:
            continue
    return ProcessTree()


def stat_fields(pid: int) -> list[str]:
    """
    Read the fields of /proc/PID/stat from the third (state) on; none if the process is gone.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def resident(pid: int) -> int:
    """
    Tell the resident bytes of a process, shared pages counted in full; 0 if it is gone.
    """
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def proportional(pid: int) -> int:
    """
    Tell the bytes of a process with each shared page divided among those who share it; 0 if it is gone.
    """
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


class Meter:
    """
    CPU seconds from `with` to its end, and the peak of memory in between.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self.cpu = 0.0
        self.peak_rss = self.peak_pss = 0

    def __enter__(self) -> Meter:
        self.cpu = -self._account.cpu()
        self._watching.start()
        return self

    def __exit__(self, *trouble: object) -> None:
        self.cpu += self._account.cpu()
        self._over.set()
        self._watching.join()

    def _watch(self) -> None:
        turn = 0
        while True:
            pids = self._account.pids()
            self.peak_rss = max(self.peak_rss, sum(map(resident, pids)))
            if turn % 10 == 0:  # dear: the kernel walks every mapping
                self.peak_pss = max(self.peak_pss, sum(map(proportional, pids)))
            turn += 1
            if self._over.wait(0.2):
                return


def launch(command: list[str], account: Account, log: Path, folder: Path) -> subprocess.Popen[bytes]:
    """
    Start an MTA in its account, with its output in `log`.
    """

    def enter() -> None:
        os.setsid()
        account.join()

    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, preexec_fn=enter
        )
    if isinstance(account, ProcessTree):
        account.adopt(process.pid)
    return process


def end(process: subprocess.Popen[bytes], account: Account, patience: float = 40.0) -> None:
    """
    End every process of the account: politely, then not.
    """
    living = account.pids() if process.poll() is None or not isinstance(account, ProcessTree) else []
    process.terminate()
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and (process.poll() is None or any(map(alive, living))):
        time.sleep(0.05)
    for pid in filter(alive, living):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.1)
    account.close()


def alive(pid: int) -> bool:
    """
    Tell whether a process runs (a zombie does not).
    """
    return bool(fields := stat_fields(pid)) and fields[0] != "Z"
