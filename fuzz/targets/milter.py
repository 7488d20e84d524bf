"""
What a milter says: whatever it is, it is understood or a MilterError, the same in whatever pieces it comes, and what it
wants changed leaves a message that is one.

The first byte chooses the version that is offered and whether the message came with SMTPUTF8, the second the size of
the pieces. The rest are packets, of which the milter says the next one whenever it has to answer.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine, Iterator
from types import SimpleNamespace
from typing import Any, Final, TypeVar, cast

from empath.mail.address import parse_address
from empath.mail.envelope import Recipient
from empath.mail.session import Transaction
from empath.modules import IContent, IServices
from empath.modules.builtin.milter.changes import Changes
from empath.modules.builtin.milter.codec import Command, MilterError
from empath.modules.builtin.milter.dialogue import MACROS, Dialogue, Response
from empath.modules.builtin.milter.said import Answer, Change, Kind, ReplaceBody
from empath.modules.builtin.milter.verdicts import verdict_of
from empath.receive.fields import Fields, check_lines

VERSIONS: Final = (2, 3, 4, 6)
BLOCK: Final = b"Received: from a\r\nSubject: one\r\nX-A: 1\r\nx-a: 2\r\n"
STEPS: Final = (
    (Command.CONNECT, b"c.test\x004\x00\x19192.0.2.7\0"),
    (Command.HELO, b"c.test\0"),
    (Command.MAIL, b"<a@b.test>\0"),
    (Command.RCPT, b"<c@d.test>\0"),
    (Command.DATA, b""),
    (Command.HEADER, b"Subject\0one\0"),
    (Command.HEADER, b"X-A\x001\0"),
    (Command.END_OF_HEADER, b""),
    (Command.BODY, b"body\r\n"),
    (Command.END_OF_MESSAGE, b""),
)
KNOWN: Final = {"i": "Q1", "j": "mx.test", "{mail_addr}": "a@b.test", "{msg_id}": "x" * 70_000}
MOST: Final = 2000  # octets of a new body
TOKENS: Final = (
    b"\0\0\0\x01c",
    b"\0\0\0\x01a",
    b"\0\0\0\x01s",
    b"\0\0\0\x01p",
    b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\0\0\0",
    b"\0\0\0\x0dO\0\0\0\x02\0\0\0\x3f\0\0\0\x7f",
    b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xf0\x80",
    b"\0\0\0\x13O\0\0\0\x06\0\0\x01\xff\0\0\0\0\0\0\0\x02i\0",
    b"\0\0\0\x07hX-A\0b\0",
    b"\0\0\0\x0bi\0\0\0\x01X-B\0c\0",
    b"\0\0\0\x0bm\0\0\0\x01x-a\0d\0",
    b"\0\0\0\x0am\0\0\0\x02x-a\0\0",
    b"\0\0\0\x0c+<n@o.test>\0",
    b"\0\0\0\x0c-<c@d.test>\0",
    b"\0\0\0\x192<n@o.test>\0NOTIFY=NEVER\0",
    b"\0\0\0\x0ce<e@f.test>\0",
    b"\0\0\0\x04e<>\0",
    b"\0\0\0\x06bnew\r\n",
    b"\0\0\0\x05qodd\0",
    b"\0\0\0\x11y550 5.7.1 100%%\0",
    b"\xff\xff\xff\xffb",
    b"\r\n\t",
    b"\n ",
    b"\0",
)
_FIELD: Final = re.compile(rb"[!-9;-~]+:[^\r\n\0]*\r\n(?:[ \t]+[^ \t\r\n\0][^\r\n\0]*\r\n)*+")
_HEADER: Final = re.compile(rb"(?:%s)*+" % _FIELD.pattern)
_REPLY: Final = re.compile(rb"(?:[45][0-9][0-9][ -][45]\.[0-9]{1,3}\.[0-9]{1,3} [^\r\n\0]*\r\n)+")

T = TypeVar("T")


class Message(Fields):
    """
    A message's content as far as a milter can change it.
    """

    __slots__ = ("body",)

    def __init__(self, utf8: bool) -> None:
        super().__init__(BLOCK, utf8)
        self.body = b"\r\nbody\r\n"

    def replace_body(self, data: bytes) -> None:
        check_lines(data)
        self.body = data

    def append(self, data: bytes) -> None:
        check_lines(data)
        self.body += data


def one_input(data: bytes) -> None:
    """
    Talk with one milter twice, and make the changes that it wants.
    """
    chosen, size, said = (data[0], data[1] % 16 + 1, data[2:]) if len(data) > 1 else (3, 1, data)
    whole, divided = talk(chosen & 3, said, len(said) or 1), talk(chosen & 3, said, size)
    assert whole == divided, f"depends on the division: {whole} {divided}"
    utf8 = bool(chosen & 4)
    changes = Changes(cast(IServices, SimpleNamespace(in_thread=None)), MOST, utf8)
    answer = None
    try:
        for response in whole:
            if isinstance(response, Answer):
                check_answer(response)
                answer = response
            elif isinstance(response, Change):
                assert changes.take(response) is None
        if answer is not None and verdict_of(answer) is None:
            change(changes, utf8)
    except MilterError:
        pass
    finally:
        changes.close()


def talk(version: int, said: bytes, size: int) -> list[Response | str]:
    """
    Tell of a message, and give what the milter answers in pieces of `size`; the last is why it went no further, if it
    did not. Pieces of a new body count as one.
    """
    dialogue, heard, packets = Dialogue(VERSIONS[version]), list[Response | str](), packets_of(said)
    dialogue.negotiate()
    steps = iter(STEPS)
    while True:
        if dialogue.awaiting is None:
            step = next(steps, None)
            if step is None:
                return merged(heard)
            answers = [each for each in heard if isinstance(each, Answer)]
            if answers and answers[-1].kind not in (Kind.CONTINUE, Kind.SKIP):
                return merged(heard)
            dialogue.say(*step, KNOWN if step[0] in MACROS else None)
            continue
        packet = next(packets, b"")
        if not packet:
            return merged(heard)
        try:
            for at in range(0, len(packet), size):
                heard += dialogue.received(packet[at : at + size])
        except MilterError:
            return [*merged(heard), "failed"]


def packets_of(said: bytes) -> Iterator[bytes]:
    """
    Divide what the milter says into packets, as far as it is any.
    """
    while said:
        end = 4 + int.from_bytes(said[:4], "big")
        yield said[:end]
        said = said[end:]


def merged(heard: list[Response | str]) -> list[Response | str]:
    """
    Put the pieces of a new body together; a Progress is like any other.
    """
    found: list[Response | str] = []
    for each in heard:
        if isinstance(each, ReplaceBody) and found and isinstance(found[-1], ReplaceBody):
            found[-1] = ReplaceBody(found[-1].piece + each.piece)
        elif isinstance(each, str | Answer | Change) or hasattr(each, "version"):
            found.append(each)
        else:
            found.append("progress")
    return found


def check_answer(answer: Answer) -> None:
    """
    What the client hears is a refusal that is well-formed and not endless.
    """
    verdict = verdict_of(answer)
    if verdict is not None and verdict.reply is not None:
        said = verdict.reply.encode()
        assert _REPLY.fullmatch(said) and len(said) < 100_000, said
        assert verdict.reply.code >= 400


def change(changes: Changes, utf8: bool) -> None:
    """
    Make the changes, and look at what came of them.
    """
    content = Message(utf8)
    first = Recipient(parse_address("c@d.test"), {"ORCPT": "rfc822;old@d.test"})
    transaction = Transaction("Q1", 0.0, parse_address("a@b.test"), {}, [first])
    ended(changes.apply(transaction, cast(IContent, content)))
    assert _HEADER.fullmatch(content.header), content.header
    assert utf8 or content.header.isascii(), content.header
    assert max(map(len, content.header.split(b"\r\n"))) <= 998, content.header
    assert content.body.startswith(b"\r\n") and content.body.endswith(b"\r\n"), content.body
    assert len(content.body) <= MOST + 4
    addresses = [str(each.address) for each in transaction.recipients]
    assert len(set(addresses)) == len(addresses), addresses
    for each in (*addresses, *([str(transaction.reverse_path)] if transaction.reverse_path else [])):
        assert str(parse_address(each, utf8=True)) == each, each
    assert transaction.held.isprintable() and len(transaction.held) < 6000, transaction.held


def ended(work: Coroutine[Any, Any, T]) -> T:
    """
    Run what waits for nothing.
    """
    try:
        work.send(None)
    except StopIteration as end:
        return cast(T, end.value)
    raise AssertionError("waits for something")
