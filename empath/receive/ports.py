"""
Binding what endpoint strings name, at once and as safely as the operating system allows.

Fatal, raised from `listen`: whatever makes it impossible, such as a busy port. Ignored: a socket file that a dead
process left behind; it is removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
from collections.abc import Iterator
from typing import Any, Final

from twisted.internet import tcp, unix
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.errors import ConfigError

BACKLOG: Final = 1024  # connections that the kernel holds; Twisted's own default is 50
_ARGUMENTS: Final = {  # in the order in which they may stand without their names
    "tcp": ("port", "interface", "backlog"),
    "tcp6": ("port", "interface", "backlog"),
    "unix": ("address", "mode", "backlog", "lockfile"),
}
_SEPARATOR: Final = re.compile(r"(?<!\\):")
_EVERYONE: Final = "666"  # Twisted's default mode of a UNIX socket

log = Logger()


def listen(reactor: Any, endpoint: str, factory: IProtocolFactory) -> IListeningPort:
    """
    Listen at once on what an endpoint string names; raises what makes it impossible, such as a busy port.

    A UNIX socket is never, not even for a moment, open to more than its mode allows. One that systemd hands over keeps
    its mode, and its file when we stop.
    """
    kind, arguments = arguments_of(endpoint)
    if kind == "unix":
        return _listen_unix(reactor, endpoint, arguments, factory)
    if kind == "systemd":
        try:
            return _listen(_Adopting(reactor), endpoint, factory)
        except LookupError as trouble:
            raise ConfigError([f'smtp.listeners: found "{endpoint}": systemd handed over no such socket']) from trouble
    return _listen(reactor, _with(endpoint, kind, arguments, "backlog", str(BACKLOG)), factory)


def listens(port: IListeningPort) -> bool:
    """
    Tell whether clients can connect to a port that was bound: a network that goes away, a descriptor that somebody else
    closes, or a UNIX socket's file that is removed, ends it without a word.
    """
    if not isinstance(port, FileDescriptor):
        return True
    bound: socket.socket | None = getattr(port, "socket", None)
    if not port.connected or bound is None:
        return False
    try:
        name = bound.getsockname() if bound.family == socket.AF_UNIX else ""
        if name and os.fsencode(name)[:1] != b"\0":
            os.lstat(name)
        return bool(bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False


def stop(port: IListeningPort) -> Deferred[Any]:
    """
    Listen no more.
    """
    return maybeDeferred(port.stopListening).addErrback(_stop_without_file, port)


def _stop_without_file(failure: Failure, port: IListeningPort) -> None:
    """
    End what Twisted does not, when somebody removed the file of a UNIX socket.
    """
    failure.trap(FileNotFoundError)
    if isinstance(port, tcp.Port):
        tcp.Port.connectionLost(port, failure)


def arguments_of(endpoint: str) -> tuple[str, dict[str, str]]:
    """
    Split an endpoint string of Twisted's into its kind and its arguments by their names.
    """
    kind, *written = (re.sub(r"\\(.)", r"\1", part) for part in _SEPARATOR.split(endpoint))
    plain = [each for each in written if "=" not in each]
    named = dict(each.split("=", 1) for each in written if "=" in each)
    return kind, {**dict(zip(_ARGUMENTS.get(kind, ()), plain, strict=False)), **named}


def _with(endpoint: str, kind: str, arguments: dict[str, str], name: str, value: str) -> str:
    """
    Add an argument that is not there yet, where the kind of endpoint knows it.
    """
    known = name in _ARGUMENTS.get(kind, ()) and name not in arguments
    return f"{endpoint}:{name}={value}" if known else endpoint


def _listen(reactor: Any, endpoint: str, factory: IProtocolFactory) -> IListeningPort:
    """
    Listen, and raise what Twisted would put into a Deferred.
    """
    ports: list[IListeningPort] = []
    failures: list[Failure] = []
    listening: Deferred[IListeningPort] = serverFromString(reactor, endpoint).listen(factory)
    listening.addCallbacks(ports.append, failures.append)
    if failures:
        failures[0].raiseException()
    if not ports:
        listening.cancel()
        raise ValueError(f"{endpoint} cannot be listened on at once")
    return ports[0]


def _listen_unix(reactor: Any, endpoint: str, arguments: dict[str, str], factory: IProtocolFactory) -> IListeningPort:
    """
    Listen on a UNIX socket.

    Twisted's lock file would refuse one that is left of a dead process whose number lives again, so there is none
    unless it is asked for.
    """
    if "lockfile" not in arguments:
        _remove_stale(arguments.get("address", ""))
    for name, value in (("backlog", str(BACKLOG)), ("lockfile", "0")):
        endpoint = _with(endpoint, "unix", arguments, name, value)
    with _umask(0o777 & ~int(arguments.get("mode", _EVERYONE), 8)):
        return _listen(reactor, endpoint, factory)


def _remove_stale(path: str) -> None:
    """
    Remove a socket on which nobody listens any more. What is no socket, or is in use, stays: then binding it fails.
    """
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)  # a full backlog (EAGAIN) is one that is in use
            probe.connect(path)
    except ConnectionRefusedError:
        log.info("{path}: removed, as nobody listens there any more", path=path)
        os.unlink(path)
    except OSError:
        return


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


class _Adopting:
    """
    A reactor as far as an endpoint that adopts a socket needs one.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def adoptStreamPort(self, descriptor: int, family: int, factory: IProtocolFactory) -> IListeningPort:
        """
        Adopt a listening socket.

        Twisted's own port would open a UNIX socket to everyone, and remove its file at the end, though both are
        systemd's; it does neither to a name in the abstract namespace, so that is what it gets to see.
        """
        if family != socket.AF_UNIX:
            adopted: IListeningPort = self._reactor.adoptStreamPort(descriptor, family, factory)
            return adopted
        given = socket.fromfd(descriptor, family, socket.SOCK_STREAM)
        port: Any = unix.Port(b"\0" + os.fsencode(given.getsockname()), factory, reactor=self._reactor)
        port._preexistingSocket = given
        port.startListening()
        return port  # type: ignore[no-any-return]  # Twisted's ports are not annotated
