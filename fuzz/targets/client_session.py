"""
The client's half of a session: whatever a server says, in whatever division, means the same and every recipient of
every transaction gets one outcome.

The first byte chooses the terms, the second what is sent and how the session ends; then come the server's turns, a
record separator between two. The session is served after each turn, as a real server would wait for it.
"""

from __future__ import annotations

import base64
import re
from typing import ClassVar, Final

from empath.mail.address import Address
from empath.mail.envelope import Recipient
from empath.mail.outcome import Success, TransientFailure
from empath.smtp.client import ClientSession
from empath.smtp.client_events import (
    Consignment,
    ContentWanted,
    Event,
    Goodbye,
    Ready,
    SessionEnded,
    StartTls,
    State,
    Terms,
    TransactionEnded,
    Trouble,
)
from empath.smtp.reply_reader import MAX_BYTES, Garbled, ReplyReader
from empath.smtp.sasl import Credentials
from fuzz.divisions import divisions
from fuzz.tokens import REPLIES

TOKENS: Final = REPLIES
TURN: Final = b"\x1e"
CONTENT: Final = b"Subject: x\r\n\r\n.hidden\r\n"
SENT: Final = b"Subject: x\r\n\r\n..hidden\r\n.\r\n"
SECRETS: Final = (base64.b64encode(b"\0me\0secret"), base64.b64encode(b"secret"))

_COMMAND: Final = re.compile(rb"(?:[\x20-\x7e\x80-\xff]*\r\n)*")
_BDAT: Final = re.compile(rb"(?:BDAT ([0-9]+)( LAST)?\r\n)?")


def address(text: str) -> Address:
    """
    Make an address of a plain text.
    """
    local, _, domain = text.partition("@")
    return Address(local, domain, text)


def terms(flags: int) -> Terms:
    """
    Make the terms that the first byte stands for.
    """
    credentials = Credentials("me", "secret") if flags & 4 else None
    return Terms(
        "client.example.net",
        "mx.example.org",
        starttls=bool(flags & 1),
        tls_needed=bool(flags & 2),
        secured=bool(flags & 8),
        credentials=credentials,
        clear_auth=bool(flags & 16),
        guarded=bool(flags & 1),
    )


def consignment(flags: int, wishes: int) -> Consignment:
    """
    Make what the second byte stands for: 1 to 4 recipients, perhaps one that cannot be said, a size, 8-bit or not; and
    what two bits of the first do: chunks, binary content, parameters. Large 8-bit content requires TLS.
    """
    texts = ["b@example.org", "c@example.org", "d@example.org", "e@example.org"][: 1 + (flags & 3)]
    if flags & 4:
        texts.append("ü@example.org" if flags & 8 else "x\r\nQUIT@example.org")
    sender = None if flags & 16 else address("a@example.net")
    size = 2000 if flags & 32 else len(CONTENT)
    parameters = {"RET": "HDRS", "ENVID": "x+2B", "AUTH": "<>", "MT-PRIORITY": "3"} if wishes & 128 else {}
    if flags & 96 == 96:
        parameters["REQUIRETLS"] = ""
    given = {"NOTIFY": "NEVER", "ORCPT": "utf-8;ü@example.org"} if wishes & 128 else {}
    return Consignment(
        sender,
        tuple(Recipient(address(text), given) for text in texts),
        size,
        bool(flags & 64),
        parameters=parameters,
        binary=wishes & 192 == 192,
        chunked=bool(wishes & 64),
        deliver_by=(60, "R") if wishes & 128 and flags & 16 else None,
    )


class Play:
    """
    One session and all that became of it.
    """

    kind: ClassVar[type[ClientSession]] = ClientSession

    def __init__(self, first: int, second: int) -> None:
        self.terms = terms(first)
        self.handshake_fails = bool(first & 32)
        self.carried = consignment(second, first)
        self.session = self.kind(self.terms)
        self.told: list[object] = []
        self.written = b""
        self.begun = self.ended = 0
        self.given = False  # the whole content

    def say(self, parts: list[bytes]) -> None:
        """
        Let the server take one turn, in pieces, then act on what came of it.
        """
        told: list[Event] = []
        for part in parts:
            told += self.session.receive(part)
            self._write()
        self._act(told)

    def finish(self, silent: bool) -> None:
        """
        Let the connection break, or first the server fall silent.
        """
        if silent and self.session.state is not State.READY:
            self._act(self.session.timed_out())
        self._act(self.session.connection_lost())
        assert self.session.state is State.CLOSED, f"still {self.session.state}"
        assert self.begun == self.ended, f"{self.begun} transactions began, {self.ended} ended"

    def _act(self, told: list[Event]) -> None:
        self._record(told)
        for event in told:
            match event:
                case StartTls():
                    self._handshake()
                case ContentWanted() if self.session.state is State.CONTENT:
                    sent = self.session.content(CONTENT) + self.session.end_content()
                    assert sent == SENT, f"the content became {sent!r}"
                    self.written += b"<content>\r\n"
                    self.given = True
                case ContentWanted() if self.session.state is State.BDAT:
                    self._give_chunks()
                case Ready() | TransactionEnded() if self.session.state is State.READY:
                    self._begin()
                case _:
                    pass
        self._write()

    def _give_chunks(self) -> None:
        """
        Give content of the size that was promised, as there is room for it: nothing is added but the BDAT.
        """
        session = self.session
        while session.state is State.BDAT and (room := session.room):
            piece = CONTENT[: min(room, len(CONTENT))]
            framed = session.content(piece)
            assert framed.endswith(piece), f"the content became {framed!r}"
            assert _BDAT.fullmatch(framed.removesuffix(piece)), f"a chunk began with {framed!r}"
            self.written += b"<chunk>\r\n"
            self.given = not session.left

    def _handshake(self) -> None:
        if self.session.state is State.HANDSHAKE:
            self.written += b"<handshake>\r\n"
            failed = self.session.handshake_failed("no") if self.handshake_fails else self.session.secured()
            self._act(failed)

    def _begin(self) -> None:
        if self.begun < 3:
            self.begun += 1
            self.given = False
            self._act(self.session.begin(self.carried))
        else:
            self.session.quit()

    def _write(self) -> None:
        output = self.session.take_output()
        assert _COMMAND.fullmatch(output), f"wrote {output!r}"
        assert output.isascii() or b" SMTPUTF8" in self.written + output, f"wrote {output!r} without SMTPUTF8"
        if not self.session.secure and not self.terms.clear_auth:
            assert not any(secret in output for secret in SECRETS), "the password went over cleartext"
        self.written += output
        self._check_promise(output)

    def _check_promise(self, output: bytes) -> None:
        """
        Mail that requires TLS goes to nobody else but as a bounce; the promise is asked for nowhere else.
        """
        guarded = self.session.secure and self.terms.guarded and self.session.offer.require_tls
        required = "REQUIRETLS" in self.carried.parameters
        said = b" REQUIRETLS" in output
        assert not said or (required and guarded), f"wrote {output!r} to a host that is not vouched for"
        if b"MAIL FROM:" in output and required and self.carried.reverse_path is not None:
            assert said, f"wrote {output!r} without REQUIRETLS"

    def _record(self, told: list[Event]) -> None:
        for event in told:
            match event:
                case TransactionEnded(outcomes=outcomes):
                    self.ended += 1
                    assert len(outcomes) == len(self.carried.recipients), "not one outcome for each recipient"
                    for outcome in outcomes:
                        good = outcome.reply.code // 100
                        assert (good == 2) is isinstance(outcome, Success), f"{outcome} is for {good}yz"
                        doubtful = isinstance(outcome, TransientFailure) and outcome.doubtful
                        assert not doubtful or self.given, f"{outcome} is in doubt about what was never given"
                case _:
                    pass
        self.told += seen(told)


def seen(told: list[Event]) -> list[object]:
    """
    Leave out what depends on the division by right: what follows the 220 to STARTTLS is seen before or after it.
    """
    ends = [event for event in told if isinstance(event, SessionEnded | Goodbye)]
    if ends and isinstance(ends[-1], SessionEnded) and ends[-1].trouble is Trouble.TLS:
        kept = [event for event in told if not isinstance(event, StartTls | SessionEnded)]
        return [*kept, Trouble.TLS]
    return list(told)


def replies(parts: list[bytes]) -> list[object]:
    """
    Read replies alone.
    """
    reader = ReplyReader()
    read: list[object] = []
    for part in parts:
        reader.feed(part)
        while (reply := reader.next_reply()) is not None:
            read.append(reply)
            if isinstance(reply, Garbled):
                return read
    return read


def check_endless(data: bytes) -> None:
    """
    A line that never ends is given up, so that it cannot fill the memory.
    """
    line = data.replace(b"\n", b"") or b"2"
    piece = line * (1 + MAX_BYTES // 8 // len(line))
    reader = ReplyReader()
    for _ in range(1 + MAX_BYTES // len(piece)):
        reader.feed(piece)
        if isinstance(reader.next_reply(), Garbled):
            return
    raise AssertionError("a line without end is read on and on")


def one_input(data: bytes) -> None:
    """
    Play one server in several divisions, and read all it says as replies alone.
    """
    play_all(Play, data)
    read = [replies(parts) for parts in divisions(data[2:])]
    for alone in read[1:]:
        assert alone == read[0], f"the reader depends on the division: {read[0]} or {alone}"
    check_endless(data[2:])


def play_all(kind: type[Play], data: bytes) -> None:
    """
    Play one server in several divisions, which must come to the same.
    """
    first, second = (data[0] ^ 0x30, data[1] ^ 0x30) if len(data) > 1 else (0, 0)
    turns = data[2:].split(TURN)
    divided = [list(divisions(turn)) for turn in turns]
    played = []
    for way in range(min(len(ways) for ways in divided)):
        play = kind(first, second)
        for ways in divided:
            play.say(ways[way])
        play.finish(silent=bool(second & 128))
        played.append((play.told, play.written))
    for other in played[1:]:
        assert other == played[0], f"depends on the division: {played[0]} or {other}"
