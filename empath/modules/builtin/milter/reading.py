"""
What a milter says, read: its options, its answers, and the changes it wants. Pure; MilterError for what is malformed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

from empath.mail.reply import Reply
from empath.modules.builtin.milter.codec import (
    NEW_BODY,
    OLDEST,
    Actions,
    Command,
    Flags,
    MacroStage,
    MilterError,
    Negotiated,
)
from empath.modules.builtin.milter.said import (
    AddHeader,
    AddRecipient,
    Answer,
    Change,
    ChangeHeader,
    ChangeSender,
    DeleteRecipient,
    InsertHeader,
    Kind,
    Progress,
    Quarantine,
    ReplaceBody,
)

REJECTED: Final = Reply.of("550 5.7.1 command rejected")
TRY_LATER: Final = Reply.of("451 4.7.1 service unavailable, try again later")
_INDEX: Final = struct.Struct("!I")
_OPTIONS: Final = struct.Struct("!III")
_MAX_INDEX: Final = 0x7FFFFFFF
_MOST_LINES: Final = 32  # of a reply, and
_LONGEST_LINE: Final = 980  # characters: libmilter's own bounds
_MOST_NAMES: Final = 1000  # of macros, in all lists
_LONGEST_REASON: Final = 500  # characters
_REPLY_LINE: Final = re.compile(r"([45][0-9][0-9])(?:[ -](.*))?", re.S)
_REPLY_END: Final = re.compile(r"\r\n|\n|\r")
_KNOWN_FLAGS: Final = ~Flags.REFUSED_RCPT & 0x1FFFFF
_MACRO_NAMES: Final = re.compile(r"[\s,]+")


def read_options(name: bytes, content: bytes, offered: Negotiated) -> Negotiated:
    """
    Read the answer to our offer. As in Postfix, a wish for less talk is fulfilled even where our version of the
    protocol did not offer that: who says so neither hears nor answers. A wish for a change that was not offered is an
    error; that refused recipients be told is passed over.
    """
    if name != Command.NEGOTIATE.value or len(content) < _OPTIONS.size:
        raise MilterError(f"no answer to the offer: {name!r}, {len(content)} octets")
    version, actions, flags = _OPTIONS.unpack_from(content)
    if not OLDEST <= version <= offered.version:
        raise MilterError(f"version {version} of the protocol, offered was {offered.version}")
    more = actions & ~int(offered.actions)
    if more:
        raise MilterError(f"wants to make changes that were not offered: {more:#x}")
    return Negotiated(version, Actions(actions), Flags(flags & _KNOWN_FLAGS), _macros(content[_OPTIONS.size :]))


def read_answer(name: bytes, content: bytes) -> Answer | Progress | Change:
    """
    Read any other packet.
    """
    read = _CHANGES.get(name)
    if read is not None:
        return read(content)
    if name == b"p" and not content:
        return Progress()
    if name == Kind.REPLY.value:
        return Answer(Kind.REPLY, read_reply(content))
    if name in _BARE and not content:
        return Answer(Kind(name))
    raise MilterError(f"answers with {name!r} and {len(content)} octets")


def read_reply(content: bytes) -> Reply:
    """
    Read what is to be said to the client, of one line or more. What is no 4yz or 5yz reply becomes one: temporary, if
    it does not begin with a 5. A "%" comes doubled. What is longer than libmilter sends is cut.
    """
    text = content.rstrip(b"\0").decode(errors="replace").replace("%%", "%")
    said = _REPLY_END.split(text.rstrip("\r\n"), _MOST_LINES)[:_MOST_LINES]
    lines = [_REPLY_LINE.fullmatch(each[:_LONGEST_LINE]) for each in said]
    found = [each for each in lines if each is not None]
    codes = {each[1] for each in found}
    if len(found) != len(lines) or len(codes) != 1:
        return REJECTED if text.startswith("5") else TRY_LATER
    reply = Reply.heard(int(codes.pop()), [each[2] or "" for each in found])
    if reply.enhanced is None:
        return Reply(reply.code, f"{reply.code // 100}.7.1", reply.lines)
    return reply


def _macros(content: bytes) -> dict[MacroStage, tuple[str, ...]]:
    """
    Read the lists of macros behind the options (SMFIR_SETSYMLIST); those of a stage that we do not know are ignored.
    """
    found: dict[MacroStage, tuple[str, ...]] = {}
    while content:
        stage, content = _number(content)
        names, content = _text(content)
        if stage <= max(MacroStage):
            asked = dict.fromkeys(_MACRO_NAMES.split(names.decode(errors="replace")))
            found[MacroStage(stage)] = tuple(filter(None, asked))
    if sum(map(len, found.values())) > _MOST_NAMES:
        raise MilterError(f"asks for more than {_MOST_NAMES} macros")
    return found


def _number(content: bytes) -> tuple[int, bytes]:
    if len(content) < _INDEX.size:
        raise MilterError("a packet without its number")
    return int(_INDEX.unpack_from(content)[0]), content[_INDEX.size :]


def _text(content: bytes) -> tuple[bytes, bytes]:
    text, end, rest = content.partition(b"\0")
    if not end:
        raise MilterError("a text without its end")
    return text, rest


def _only(content: bytes, count: int) -> list[bytes]:
    """
    Read exactly `count` texts.
    """
    found = []
    for _ in range(count):
        text, content = _text(content)
        found.append(text)
    if content:
        raise MilterError(f"{len(content)} octets too many in a packet")
    return found


def _with_parameters(content: bytes) -> list[bytes]:
    """
    Read a text, and a second one if it is there.
    """
    return _only(content, max(1, min(content.count(b"\0"), 2)))


def _indexed(content: bytes) -> tuple[int, bytes, bytes]:
    index, content = _number(content)
    if index > _MAX_INDEX:
        raise MilterError(f"the index {index} of a header field")
    name, value = _only(content, 2)
    return index, name, value


def _add_header(content: bytes) -> Change:
    name, value = _only(content, 2)
    return AddHeader(name, value)


def _change_header(content: bytes) -> Change:
    index, name, value = _indexed(content)
    return ChangeHeader(max(index, 1), name, value)


_CHANGES: Final[dict[bytes, Callable[[bytes], Change]]] = {
    b"h": _add_header,
    b"i": lambda content: InsertHeader(*_indexed(content)),
    b"m": _change_header,
    b"+": lambda content: AddRecipient(*_only(content, 1)),
    b"2": lambda content: AddRecipient(*_with_parameters(content)),
    b"-": lambda content: DeleteRecipient(*_only(content, 1)),
    b"e": lambda content: ChangeSender(*_with_parameters(content)),
    NEW_BODY: ReplaceBody,
    b"q": lambda content: Quarantine(content.rstrip(b"\0")[:_LONGEST_REASON]),
}
_BARE: Final = frozenset(kind.value for kind in Kind if kind is not Kind.REPLY)
