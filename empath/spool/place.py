"""
The directory of a spool: whether it may be one, and that no other process uses it.

Fatal at the start: a path in a system directory, a network file system, a spool that is in use, Windows.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import Final

from empath.errors import SpoolError, SpoolLocked
from empath.folders import sync_folder

SYSTEM: Final = (
    "/etc",
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/boot",
    "/sys",
    "/proc",
    "/dev",
)
NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "9p", "ceph", "fuse.sshfs", "fuse.glusterfs"}
)
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def prepare(path: str) -> str:
    """
    Make the directory (mode 0700) if need be and tell its real path; SpoolError, in one line, if it may be no spool.
    """
    if os.name != "posix":
        raise SpoolError("a spool on disk needs a POSIX system")
    if not path or "\0" in path or ".." in path.split("/"):
        raise SpoolError(f"the spool's path {path!r} is empty or contains '..'")
    real = os.path.realpath(path)
    if real == "/" or any(real == system or real.startswith(system + "/") for system in SYSTEM):
        raise SpoolError(f"the spool's path {path!r} lies in a system directory ({real})")
    try:
        if not os.path.isdir(real):
            os.makedirs(real, 0o700, exist_ok=True)
            sync_folder(os.path.dirname(real))
        kind = file_system(real, _mounts())
        if not os.access(real, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError("we may not write there")
    except OSError as failure:
        raise SpoolError(f"the spool's directory {real} cannot be used: {failure}") from failure
    if kind in NETWORK:
        raise SpoolError(
            f"the spool's directory {real} is on a network file system ({kind}): SQLite needs a local disk"
        )
    return real


def file_system(real: str, mounts: str) -> str:
    """
    Tell the type of the file system that holds `real`, by the longest mount point in a text like /proc/mounts.

    "" if the text does not say. Of two mounts on one point the later one counts: it hides the other.
    """
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[1])
        within = real == point or real.startswith(point.rstrip("/") + "/")
        if within and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind


class Lock:
    """
    The lock file beside the spool: held as long as the process lives, whatever ends it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> None:
        """
        Take the lock; SpoolLocked, naming the process, if another one has it.
        """
        import fcntl  # here, so that the module can say its one line where there is no fcntl

        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as failure:
            raise SpoolError(f"the spool's lock {self._path} cannot be opened: {failure}") from failure
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as failure:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            spool = os.path.dirname(self._path)
            raise SpoolLocked(f"the spool {spool} is in use by another process (pid {holder})") from failure
        except OSError as failure:
            os.close(descriptor)
            raise SpoolError(f"the spool's lock {self._path} cannot be taken: {failure}") from failure
        self._descriptor = descriptor
        with contextlib.suppress(OSError):  # a full disk keeps nobody from starting
            os.ftruncate(descriptor, os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0))

    def take_again(self) -> None:
        """
        Make sure of the lock after trouble with the disk: the file it was taken on may not be the one that is there.

        One that is still there is not let go, or another process could come in between.
        """
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(self._path), os.fstat(self._descriptor)):
                    return
        self.release()
        self.take()

    def release(self) -> None:
        """
        Let another process have it; harmless when repeated. The file stays: removing it would race.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _mounts() -> str:
    try:
        with open("/proc/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
            return mounts.read()
    except OSError:
        return ""
