"""
The wire format of the milter protocol, versions 2 to 6, as libmilter 8.17 and Postfix 3 speak it; there is no RFC.

A packet is a length of four octets (that of what follows), one octet that names it, and its data; texts end with a NUL.
Pure: bytes in, values out. Whatever a milter says wrongly raises MilterError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import Enum, IntEnum, IntFlag
from typing import Final

import attrs

from empath.errors import ModuleError

CHUNK: Final = 65535  # octets of body in a packet (MILTER_CHUNK_SIZE)
MAX_PACKET: Final = 1024 * 1024  # of a milter, but for a new body; libmilter's own are not longer than 64 KiB
NEW_BODY: Final = b"b"  # SMFIR_REPLBODY
NEWEST: Final = 6
OLDEST: Final = 2
_LENGTH: Final = struct.Struct("!I")
_OPTIONS: Final = struct.Struct("!III")
_PORT: Final = struct.Struct("!H")


class MilterError(ModuleError):
    """
    The milter cannot be reached, does not answer in time, or says what the protocol does not allow.
    """


class Command(Enum):
    """
    What we say (SMFIC_*).
    """

    NEGOTIATE = b"O"
    MACRO = b"D"
    CONNECT = b"C"
    HELO = b"H"
    MAIL = b"M"
    RCPT = b"R"
    DATA = b"T"
    HEADER = b"L"
    END_OF_HEADER = b"N"
    BODY = b"B"
    END_OF_MESSAGE = b"E"
    ABORT = b"A"
    QUIT = b"Q"
    QUIT_NEXT = b"K"  # SMFIC_QUIT_NC: the session is over, another one follows on this connection
    UNKNOWN = b"U"


class Actions(IntFlag):
    """
    What a milter may change (SMFIF_*).
    """

    ADD_HEADER = 0x001
    CHANGE_BODY = 0x002
    ADD_RECIPIENT = 0x004
    DELETE_RECIPIENT = 0x008
    CHANGE_HEADER = 0x010
    QUARANTINE = 0x020
    CHANGE_SENDER = 0x040
    ADD_RECIPIENT_PARAMETERS = 0x080
    SET_MACROS = 0x100


class Flags(IntFlag):
    """
    What is not said, what is not answered, and how (SMFIP_*).
    """

    NO_CONNECT = 0x01
    NO_HELO = 0x02
    NO_MAIL = 0x04
    NO_RCPT = 0x08
    NO_BODY = 0x10
    NO_HEADER = 0x20
    NO_END_OF_HEADER = 0x40
    SILENT_HEADER = 0x80
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    SKIP = 0x400
    REFUSED_RCPT = 0x800
    SILENT_CONNECT = 0x1000
    SILENT_HELO = 0x2000
    SILENT_MAIL = 0x4000
    SILENT_RCPT = 0x8000
    SILENT_DATA = 0x10000
    SILENT_UNKNOWN = 0x20000
    SILENT_END_OF_HEADER = 0x40000
    SILENT_BODY = 0x80000
    LEADING_SPACE = 0x100000


_VERSION_2: Final = Flags(0x7F)
_LATER_FLAGS: Final = ((3, Flags.NO_UNKNOWN), (4, Flags.NO_DATA), (6, Flags(0x1FFFFF) & ~Flags.REFUSED_RCPT))
_LATER_ACTIONS: Final = ((2, Actions(0x3F)), (6, Actions(0x1FF)))


class MacroStage(IntEnum):
    """
    The lists of macros that a milter can ask for (SMFIM_*).
    """

    CONNECT = 0
    HELO = 1
    MAIL = 2
    RCPT = 3
    DATA = 4
    END_OF_MESSAGE = 5
    END_OF_HEADER = 6


@attrs.frozen(slots=True)
class Negotiated:
    """
    What a milter answered to our offer. `macros` are the names it asked for, by stage.
    """

    version: int
    actions: Actions
    flags: Flags
    macros: dict[MacroStage, tuple[str, ...]] = attrs.field(factory=dict)


def packet(command: Command, content: bytes = b"") -> bytes:
    """
    Write one packet.
    """
    return _LENGTH.pack(1 + len(content)) + command.value + content


def texts(*values: str | bytes) -> bytes:
    """
    Write texts one after the other; a NUL within one, which nothing can carry, is left out.
    """
    return b"".join((each.encode() if isinstance(each, str) else each).replace(b"\0", b"") + b"\0" for each in values)


def offer(version: int) -> Negotiated:
    """
    All that we can do in one version of the protocol.
    """
    flags, actions = _VERSION_2, Actions(0)
    for since, more in _LATER_FLAGS:
        flags |= more if version >= since else Flags(0)
    for since, allowed in _LATER_ACTIONS:
        actions |= allowed if version >= since else Actions(0)
    return Negotiated(version, actions, flags)


def offer_packet(offered: Negotiated) -> bytes:
    """
    Write the packet that begins a connection.
    """
    return packet(Command.NEGOTIATE, _OPTIONS.pack(offered.version, offered.actions, offered.flags))


def connect_content(hostname: str, peer: str, port: int) -> bytes:
    """
    Write what CONNECT says of a client: `peer` is an IP address, "unix", or "" where it is not known.
    """
    if peer == "unix":
        return texts(hostname) + b"L" + _PORT.pack(0) + texts(peer)
    if not peer:
        return texts(hostname) + b"U"
    return texts(hostname) + (b"6" if ":" in peer else b"4") + _PORT.pack(port) + texts(peer)


def macro_packet(command: Command, values: Iterable[tuple[str, str]]) -> bytes:
    """
    Write the macros that go before a command, without those that a packet of libmilter's has no room for: it would hang
    up, and the length of some is the client's choice.
    """
    written, room = [command.value], CHUNK - len(command.value)
    for each in (texts(name, value) for name, value in values):
        if len(each) <= room:
            written.append(each)
            room -= len(each)
    return packet(Command.MACRO, b"".join(written))


class Packets:
    """
    Cuts what a milter sends into packets. A new body may come in a packet of any length, as rspamd sends it: it is
    given in the pieces that come, each as a packet of its own, and means the same.
    """

    __slots__ = ("_buffer", "_left")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._left = 0  # octets that are to come of a new body

    def feed(self, received: bytes) -> Iterator[tuple[bytes, bytes]]:
        """
        Give the name and the data of each packet that is complete now.
        """
        buffer, at = self._buffer, 0
        buffer += received
        while len(buffer) - at > (0 if self._left else _LENGTH.size):
            if self._left:
                end = min(at + self._left, len(buffer))
                self._left -= end - at
                yield NEW_BODY, bytes(buffer[at:end])
                at = end
                continue
            begin, end = self._bounds(at)
            name = bytes(buffer[begin - 1 : begin])
            if name == NEW_BODY and end > len(buffer):
                at, self._left = begin, end - begin
            elif end > len(buffer):
                break
            else:
                yield name, bytes(buffer[begin:end])
                at = end
        del buffer[:at]

    def _bounds(self, at: int) -> tuple[int, int]:
        """
        Tell where the data of the packet begin and end that begins there; its name is known.
        """
        (length,) = _LENGTH.unpack_from(self._buffer, at)
        begin = at + _LENGTH.size + 1
        if length < 1 or (length > MAX_PACKET and self._buffer[begin - 1] != NEW_BODY[0]):
            raise MilterError(f"a packet of {length} octets")
        return begin, begin + length - 1
