"""
A message for a server that does not know 8BITMIME: 8-bit and binary leaves are encoded (RFC 6152 §3, RFC 2045 §6).

What may not be touched is not: nothing inside multipart/signed and multipart/encrypted, no fragment, nothing that is
encoded already, no header block, no preamble and epilogue, and nothing that readers would take apart in different ways.
If such a thing is 8-bit, the message is not convertible.
"""

from __future__ import annotations

from collections.abc import Iterator

from empath.mail.seven_bit_content import Content, Leaf, Look, NotConvertible
from empath.mail.seven_bit_entity import Encoding, Entity
from empath.mail.seven_bit_walk import Walk

__all__ = ["Converter", "Encoding", "NotConvertible", "Survey"]


class Survey(Walk):
    """
    Looks through a whole message, to know before a transaction whether it is convertible, and how.

    Both methods raise NotConvertible. What `finish` gives is for a Converter that will be fed the same message.
    """

    __slots__ = ("_looks",)

    def __init__(self) -> None:
        self._looks: list[tuple[Entity, Look]] = []
        super().__init__()

    def feed(self, data: bytes) -> None:
        """
        Take the next bytes.
        """
        self.walk(data)

    def finish(self) -> tuple[Encoding, ...]:
        """
        Tell the encoding that each leaf needs, in order.
        """
        self.end()
        return tuple(look.encoding(entity) for entity, look in self._looks)

    def leaf(self, entity: Entity) -> Content:
        look = Look()
        self._looks.append((entity, look))
        return look


class Converter(Walk):
    """
    Makes a message 7-bit while it passes: header block first, then body, in any division; both methods raise
    NotConvertible, at whatever point it shows.

    Without `plan` (what a Survey told) the first 64 KiB of a leaf decide how it is encoded, and a longer one that is
    not labelled as encoded always is: its label is sent before its end is seen. With it, what is 7-bit stays byte for
    byte, whatever its length; only a label that claims more becomes 7bit. A multipart that lacks MIME-Version gets
    none: who reads its parts without reads them so then. Lines that are too long stay where nothing may be encoded.
    """

    __slots__ = ("_plan",)

    def __init__(self, plan: tuple[Encoding, ...] = ()) -> None:
        self._plan: Iterator[Encoding] = iter(plan)
        super().__init__()

    def feed(self, data: bytes) -> bytes:
        """
        Take the next bytes; give what can be sent.
        """
        return self.walk(data)

    def finish(self) -> bytes:
        """
        Give the rest.
        """
        return self.end()

    def leaf(self, entity: Entity) -> Content:
        return Leaf(entity, next(self._plan, None))
