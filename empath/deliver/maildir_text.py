"""
A message as a maildir holds it: its name, the headers on top, the line ends.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from empath.mail.address import Address
from empath.mail.message import Message

_HASH_DIGITS: Final = 16


def file_name(message: Message, recipient: Address) -> str:
    """
    Name the file of one message for one recipient: always the same, so that a repeated delivery is recognised.

    It begins with the time of reception, as mail readers expect. Neither "/" nor ":" (where flags begin) can be in it.
    """
    digest = sha256(f"{recipient.local}@{recipient.domain}".encode()).hexdigest()[:_HASH_DIGITS]
    return f"{int(message.received)}.{message.queue_id}.{digest}"


def top(message: Message, recipient: Address) -> bytes:
    """
    Give the headers that final delivery adds (RFC 5321 §4.4: Return-Path), with "\\n" as line end.
    """
    sender = message.envelope.reverse_path
    return f"Return-Path: <{'' if sender is None else sender.text}>\nDelivered-To: {recipient.text}\n".encode()


class LocalLines:
    """
    Turns CRLF into "\\n" in pieces of any size; every other byte, a lone CR or LF too, stays as it is.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def convert(self, piece: bytes) -> bytes:
        """
        Give the next piece; a CR at its end waits for what follows.
        """
        text = self._held + piece
        self._held = b"\r" if text.endswith(b"\r") else b""
        return (text[:-1] if self._held else text).replace(b"\r\n", b"\n")

    def finish(self) -> bytes:
        """
        Give what was held back.
        """
        held, self._held = self._held, b""
        return held
