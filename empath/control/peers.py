"""
Who is at the other end of a UNIX socket, as the kernel tells it.
"""

from __future__ import annotations

import pwd
import socket
import struct
from typing import Any, Final

_UCRED: Final = struct.Struct("3i")  # pid, uid, gid


def credentials_of(transport: Any) -> tuple[int | None, int | None]:
    """
    Tell the user id and the process id of the peer of a UNIX transport, at the time when it connected; None each where
    the system does not tell them.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    try:
        handle = transport.getHandle()
        octets = handle.getsockopt(socket.SOL_SOCKET, option, _UCRED.size)
    except (AttributeError, OSError, TypeError):
        return None, None
    pid, uid, _ = _UCRED.unpack(octets)
    return uid, pid


def name_of(uid: int) -> str:
    """
    Look up the name of a user, "" if it has none. It may ask a directory in the network: not for the reactor's thread.
    """
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError, OverflowError):
        return ""
