"""
One connection to a milter, without the connection: what may be said when, what of it the milter does not want to hear,
whether it answers, and what its answer may be. Pure: bytes in, bytes and values out.

MilterError for what the milter may not say; ValueError where we would say something out of turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from empath.modules.builtin.milter.codec import (
    Command,
    Flags,
    MacroStage,
    MilterError,
    Negotiated,
    Packets,
    macro_packet,
    offer,
    offer_packet,
    packet,
)
from empath.modules.builtin.milter.reading import read_answer, read_options
from empath.modules.builtin.milter.said import (
    Answer,
    Change,
    Kind,
    Progress,
)

Response = Negotiated | Answer | Progress | Change
"""
What a packet of the milter means.
"""


class State(Enum):
    """
    Where a connection stands.
    """

    NEW = "new"
    OPEN = "open"  # negotiated; no session has begun
    SESSION = "session"  # between transactions
    ENVELOPE = "envelope"
    CONTENT = "content"
    CLOSED = "closed"


NEXT: Final = {  # an absent pair is a ValueError: a fault of ours
    (State.NEW, Command.NEGOTIATE): State.OPEN,
    (State.NEW, Command.QUIT): State.CLOSED,
    (State.OPEN, Command.CONNECT): State.SESSION,
    (State.OPEN, Command.QUIT): State.CLOSED,
    (State.SESSION, Command.HELO): State.SESSION,
    (State.SESSION, Command.UNKNOWN): State.SESSION,
    (State.SESSION, Command.MAIL): State.ENVELOPE,
    (State.SESSION, Command.QUIT): State.CLOSED,
    (State.SESSION, Command.QUIT_NEXT): State.OPEN,
    (State.ENVELOPE, Command.RCPT): State.ENVELOPE,
    (State.ENVELOPE, Command.UNKNOWN): State.ENVELOPE,
    (State.ENVELOPE, Command.DATA): State.CONTENT,
    (State.ENVELOPE, Command.ABORT): State.SESSION,
    (State.ENVELOPE, Command.QUIT): State.CLOSED,
    (State.CONTENT, Command.HEADER): State.CONTENT,
    (State.CONTENT, Command.END_OF_HEADER): State.CONTENT,
    (State.CONTENT, Command.BODY): State.CONTENT,
    (State.CONTENT, Command.END_OF_MESSAGE): State.SESSION,
    (State.CONTENT, Command.ABORT): State.SESSION,
    (State.CONTENT, Command.QUIT): State.CLOSED,
}

_NONE: Final = Flags(0)
_FLAGS: Final = {  # what makes us not say it, and what makes the milter not answer it
    Command.CONNECT: (Flags.NO_CONNECT, Flags.SILENT_CONNECT),
    Command.HELO: (Flags.NO_HELO, Flags.SILENT_HELO),
    Command.MAIL: (Flags.NO_MAIL, Flags.SILENT_MAIL),
    Command.RCPT: (Flags.NO_RCPT, Flags.SILENT_RCPT),
    Command.DATA: (Flags.NO_DATA, Flags.SILENT_DATA),
    Command.HEADER: (Flags.NO_HEADER, Flags.SILENT_HEADER),
    Command.END_OF_HEADER: (Flags.NO_END_OF_HEADER, Flags.SILENT_END_OF_HEADER),
    Command.BODY: (Flags.NO_BODY, Flags.SILENT_BODY),
    Command.UNKNOWN: (Flags.NO_UNKNOWN, Flags.SILENT_UNKNOWN),
    Command.END_OF_MESSAGE: (_NONE, _NONE),
}
_UNANSWERED: Final = frozenset({Command.ABORT, Command.QUIT, Command.QUIT_NEXT})
_SINCE: Final = ((3, Flags.NO_UNKNOWN), (4, Flags.NO_DATA))  # commands that an older version does not know
MACROS: Final = {  # what is told where the milter asked for nothing else
    Command.CONNECT: (
        MacroStage.CONNECT,
        ("j", "_", "v", "{daemon_name}", "{client_addr}", "{client_name}", "{client_port}", "{client_ptr}"),
    ),
    Command.HELO: (MacroStage.HELO, ("{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}")),
    Command.MAIL: (
        MacroStage.MAIL,
        ("i", "{auth_authen}", "{auth_type}", "{mail_addr}", "{mail_host}", "{mail_mailer}"),
    ),
    Command.RCPT: (MacroStage.RCPT, ("i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}")),
    Command.DATA: (MacroStage.DATA, ("i", "{nrcpts}")),
    Command.END_OF_HEADER: (MacroStage.END_OF_HEADER, ("i",)),
    Command.END_OF_MESSAGE: (MacroStage.END_OF_MESSAGE, ("i", "{msg_id}")),
}


class Dialogue:
    """
    The talk with one milter, from our offer of `version` on.

    `awaiting` is the command that the milter has to answer next, None if it has nothing to say. `agreed` is what came
    of the offer.
    """

    __slots__ = ("_offered", "_packets", "_skipped", "_version", "agreed", "awaiting", "state")

    def __init__(self, version: int) -> None:
        self._offered = offer(version)
        self._packets = Packets()
        self._skipped: Command | None = None
        self.agreed = Negotiated(version, self._offered.actions, Flags(0))
        self.awaiting: Command | None = None
        self.state = State.NEW

    def negotiate(self) -> bytes:
        """
        Make the offer.
        """
        self._move(Command.NEGOTIATE)
        self.awaiting = Command.NEGOTIATE
        return offer_packet(self._offered)

    def wants(self, command: Command) -> bool:
        """
        Tell whether the milter wants to hear a command that may come now.
        """
        return command is not self._skipped and not self.agreed.flags & _FLAGS[command][0]

    def say(self, command: Command, content: bytes = b"", macros: Mapping[str, str] | None = None) -> bytes:
        """
        Say something: what to send of it, which is nothing where the milter does not want to hear it. The macros among
        `macros` that it asked for go before it, even then.
        """
        if self.awaiting is not None:
            raise ValueError(f"{command} while the milter has to answer {self.awaiting}")
        self._move(command)
        if command in _UNANSWERED:
            self._skipped = None
            return packet(command, content)
        if self._skipped is not command:
            self._skipped = None
        told = self._macros(command, macros) if macros is not None else b""
        if not self.wants(command):
            return told
        if not self.agreed.flags & _FLAGS[command][1]:
            self.awaiting = command
        return told + packet(command, content)

    def received(self, received: bytes) -> list[Response]:
        """
        Take what the milter sent: each whole packet's meaning, in their order.
        """
        return [self._read(name, content) for name, content in self._packets.feed(received)]

    def _read(self, name: bytes, content: bytes) -> Response:
        awaited = self.awaiting
        if awaited is None:
            raise MilterError(f"says {name!r} without having been asked")
        if awaited is Command.NEGOTIATE:
            self.agreed = read_options(name, content, self._offered)
            self._leave_out()
            self.awaiting = None
            return self.agreed
        response = read_answer(name, content)
        if isinstance(response, Answer):
            self.awaiting = None
            if response.kind is Kind.SKIP:
                self._skipped = awaited
        elif not isinstance(response, Progress) and awaited is not Command.END_OF_MESSAGE:
            raise MilterError(f"wants a change before the end of the message: {name!r}")
        return response

    def _leave_out(self) -> None:
        """
        Do not say what the version that was agreed upon does not know.
        """
        agreed, unknown = self.agreed, _NONE
        for since, flag in _SINCE:
            unknown |= flag if agreed.version < since else _NONE
        self.agreed = Negotiated(agreed.version, agreed.actions, agreed.flags | unknown, agreed.macros)

    def _macros(self, command: Command, known: Mapping[str, str]) -> bytes:
        stage, usual = MACROS[command]
        names = self.agreed.macros.get(stage, usual)
        if not names:
            return b""
        values = ((name, known.get(_braced(name))) for name in names)
        return macro_packet(command, [(name, value) for name, value in values if value is not None])

    def _move(self, command: Command) -> None:
        state = NEXT.get((self.state, command))
        if state is None:
            raise ValueError(f"{command} in {self.state}")
        self.state = state


def _braced(name: str) -> str:
    """
    Spell a macro's name as we know it: more than one letter is in braces.
    """
    return name if len(name) == 1 or name.startswith("{") else f"{{{name}}}"
