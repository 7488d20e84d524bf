"""
The exceptions of our own making. What a peer says is a value (`Reply`, `Outcome`, `Verdict`), never one of these.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from empath.mail.reply import Reply

DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""
How the system says that we have no right to a file, or that nobody can write where it is.
"""


class EmpathError(Exception):
    """
    Any fault that empath names itself.
    """


class ConfigError(EmpathError):
    """
    The configuration cannot be used; `problems` holds one line for each thing that is wrong with it.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class CommandRefused(EmpathError):
    """
    The peer's line is no command we accept; `reply` is what to tell it.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class AuthenticatorUnavailable(EmpathError):
    """
    Nobody can say now whether a login is right (reply: 454 4.7.0); the text is for the log.
    """


class SpoolError(EmpathError):
    """
    The spool could not do what was asked; nothing was changed by the attempt (reply: 451 4.3.0).
    """


class SpoolFull(SpoolError):
    """
    The disk under the spool has no room (reply: 452 4.3.1); it goes away by itself when space returns.
    """


class SpoolLocked(SpoolError):
    """
    Another process has this spool open.
    """


class SpoolTooNew(SpoolError):
    """
    The spool was written by a newer empath than this one.
    """


class QueueIdTaken(SpoolError):
    """
    A message of this queue id is stored already: it is never overwritten.
    """


class MessageUnknown(SpoolError):
    """
    No message of this queue id is stored.
    """


class SigningFailed(EmpathError):
    """
    A message is to be signed and cannot be for now: its key cannot be read.
    """


class StorageError(EmpathError):
    """
    What modules keep cannot be read or written now; nothing was changed by the attempt.
    """


class StorageFull(StorageError):
    """
    The disk has no room for what a module wants to keep.
    """


class ModuleError(EmpathError):
    """
    A module, or what runs it, could not do what was asked; the text is for the log.
    """


class AuditError(EmpathError):
    """
    The audit trail cannot be opened or read; the text is for people. `denied`: for want of a right to its file.
    """

    def __init__(self, text: str, denied: bool = False) -> None:
        super().__init__(text)
        self.denied = denied
