"""
The control socket in the file system: bound so that it is never open to anybody but its owner, and that only one
process has it.

Fatal while starting: a socket that another process answers at, a path that cannot be used (ControlSocketError).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from pathlib import Path
from typing import Any, Final

from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.errors import DENIED, EmpathError

log = Logger()

MAX_PATH: Final = 107  # octets, with the zero behind it 108 (sockaddr_un)
BACKLOG: Final = 128
PATIENCE: Final = 1.0  # seconds in which a process that lives takes a connection, even a busy one: its kernel does
LOCK_TRIES: Final = 100
_LOCK_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class ControlSocketError(EmpathError):
    """
    The control socket cannot be ours. `denied`: for want of a right to its files, or of room for its path, so that who
    did not ask for it can do without.
    """

    def __init__(self, text: str, denied: bool = False) -> None:
        super().__init__(text)
        self.denied = denied


class ControlSocket:
    """
    The socket at `path`, whose connections `factory` takes.

    A lock on `path`.lock, held as long as we have the socket, settles who of several that start at once gets it. What a
    killed process left behind is taken over; a socket at which anybody answers is not.
    """

    def __init__(self, reactor: Any, path: str, factory: IProtocolFactory) -> None:
        self._reactor = reactor
        self._path = Path(path)
        self._factory = factory
        self._lock: int | None = None
        self._port: Any = None

    def bind(self) -> None:
        """
        Bind and listen. ControlSocketError if that cannot be; then nothing is left behind.
        """
        if len(os.fsencode(self._path)) > MAX_PATH:
            raise ControlSocketError(
                f"control_socket: {self._path} has more than the {MAX_PATH} octets that a socket's path may have",
                denied=True,
            )
        try:
            self._make_folder()
            self._take_lock()
            self._remove_stale()
            self._listen()
        except (OSError, CannotListenError) as trouble:
            self._release()
            reason = trouble.socketError if isinstance(trouble, CannotListenError) else trouble
            why, number = getattr(reason, "strerror", None) or reason, getattr(reason, "errno", None)
            text = f"control_socket: {self._path} cannot be made: {why}"
            raise ControlSocketError(text, number in DENIED) from trouble
        except ControlSocketError:
            self._release()
            raise

    async def stop(self) -> None:
        """
        Take no more connections, and remove the socket, if it is still ours.
        """
        port, self._port = self._port, None
        if port is not None:
            stopping = port.stopListening()
            if isinstance(stopping, Deferred):
                await stopping
        self._release()

    def abandon(self) -> None:
        """
        Give the socket back before the reactor ran.
        """
        port, self._port = self._port, None
        if port is not None:
            port.connectionLost(Failure(CannotListenError("", str(self._path), "nothing was started")))
        self._release()

    def _make_folder(self) -> None:
        """
        Make the folder if there is none, for nobody else to write in.
        """
        with contextlib.suppress(FileExistsError):
            os.makedirs(self._path.parent, mode=0o755)

    def _take_lock(self) -> None:
        """
        Lock the file beside the socket. It is removed with the socket: so what we locked may be a file that another
        process removed in between, and then we begin again.
        """
        for _ in range(LOCK_TRIES):
            self._lock = lock = os.open(self._lock_path, _LOCK_FLAGS, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                by = os.read(lock, 20).decode("ascii", "replace").strip()
                os.close(lock)
                self._lock = None
                raise ControlSocketError(self._taken(by)) from None
            if _same_file(lock, self._lock_path):
                os.ftruncate(lock, 0)
                os.write(lock, b"%d\n" % os.getpid())
                return
            os.close(lock)
            self._lock = None
        raise ControlSocketError(self._taken(""))

    def _taken(self, by: str) -> str:
        whom = f" (process {by})" if by else ""
        return (
            f"control_socket: another empath has {self._path}{whom}: stop it, or give this one a control_socket of its "
            "own"
        )

    def _remove_stale(self) -> None:
        """
        Remove a socket at which nobody answers. ControlSocketError for everything else that is there.
        """
        try:
            found = os.lstat(self._path)
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode):
            raise ControlSocketError(f"control_socket: {self._path} is there, and is no socket: remove it")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(PATIENCE)
            try:
                asking.connect(str(self._path))
            except FileNotFoundError:
                return
            except OSError as trouble:
                if trouble.errno != errno.ECONNREFUSED:
                    text = f"{self._taken('')} ({trouble.strerror or trouble})"
                    raise ControlSocketError(text, trouble.errno in DENIED) from trouble
            else:
                raise ControlSocketError(self._taken(""))
        log.info("control_socket: {path} was left behind by a process that is gone", path=str(self._path))
        self._path.unlink()

    def _listen(self) -> None:
        """
        Bind under a umask that leaves the socket to its owner from its first moment on. No other thread of ours makes
        files at this time: they have not started.
        """
        port = OwnedPort(os.fsencode(self._path), self._factory, BACKLOG, 0o600, self._reactor)
        before = os.umask(0o177)
        try:
            port.startListening()
        finally:
            os.umask(before)
        self._port = port

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            if _same_file(lock, self._lock_path):
                os.unlink(self._lock_path)
        except OSError as trouble:
            log.warn("{path} could not be removed: {why}", path=self._lock_path, why=str(trouble))
        finally:
            os.close(lock)

    @property
    def _lock_path(self) -> str:
        return f"{self._path}.lock"


class OwnedPort(unix.Port):
    """
    A port that removes its path at the end only if it is still its own.
    """

    _identity: tuple[int, int] | None = None

    def startListening(self) -> None:
        """
        Bind and listen.
        """
        super().startListening()  # type: ignore[no-untyped-call]  # of Twisted's
        self._identity = _identity_of(os.fsdecode(self._bindPath))

    def connectionLost(self, reason: Failure) -> None:
        """
        Close, and leave to others what is theirs.
        """
        path = os.fsdecode(self._bindPath)
        if _identity_of(path) == self._identity:
            super().connectionLost(reason)  # type: ignore[no-untyped-call]  # of Twisted's
            return
        log.warn("control_socket: {path} is ours no more, and is left as it is", path=path)
        tcp.Port.connectionLost(self, reason)


def _identity_of(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _same_file(descriptor: int, path: str) -> bool:
    """
    Tell whether what is open is still what the path names.
    """
    found = os.fstat(descriptor)
    return _identity_of(path) == (found.st_dev, found.st_ino)
