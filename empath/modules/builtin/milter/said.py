"""
What a milter can say once it has agreed with us: answers, and the changes it wants.
"""

from __future__ import annotations

from enum import Enum

import attrs

from empath.mail.reply import Reply


class Kind(Enum):
    """
    The answers that end the wait for one (SMFIR_*).
    """

    CONTINUE = b"c"
    ACCEPT = b"a"
    REJECT = b"r"
    TEMPFAIL = b"t"
    DISCARD = b"d"
    REPLY = b"y"
    SHUTDOWN = b"4"
    CONNECTION_FAILURE = b"f"
    SKIP = b"s"


@attrs.frozen(slots=True)
class Answer:
    """
    One such answer; `reply` is what REPLY says to the client.
    """

    kind: Kind
    reply: Reply | None = None


class Progress:
    """
    The milter is still at it: the wait begins anew.
    """

    __slots__ = ()


@attrs.frozen(slots=True)
class AddHeader:
    """
    Add a field at the end of the header.
    """

    name: bytes
    value: bytes


@attrs.frozen(slots=True)
class InsertHeader:
    """
    Add a field before that of the index `index`, 0 being our own Received.
    """

    index: int
    name: bytes
    value: bytes


@attrs.frozen(slots=True)
class ChangeHeader:
    """
    Give the field number `index` of a name (from 1) another value; remove it if that is empty.
    """

    index: int
    name: bytes
    value: bytes


@attrs.frozen(slots=True)
class AddRecipient:
    """
    Add a recipient, with ESMTP parameters.
    """

    address: bytes
    parameters: bytes = b""


@attrs.frozen(slots=True)
class DeleteRecipient:
    """
    Remove a recipient.
    """

    address: bytes


@attrs.frozen(slots=True)
class ChangeSender:
    """
    Change the reverse-path.
    """

    address: bytes
    parameters: bytes = b""


@attrs.frozen(slots=True)
class ReplaceBody:
    """
    One piece of a new body; the first one begins it.
    """

    piece: bytes


@attrs.frozen(slots=True)
class Quarantine:
    """
    Hold the message.
    """

    reason: bytes


Change = (
    AddHeader | InsertHeader | ChangeHeader | AddRecipient | DeleteRecipient | ChangeSender | ReplaceBody | Quarantine
)
"""
What a milter wants changed, before its answer to the end of the message.
"""
