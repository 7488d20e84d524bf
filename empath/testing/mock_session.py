"""
One session of a scripted server. Replies leave in the order of the commands, however long one of them takes.

Fatal to the session: a script that says so, and a client that leaves. Everything that a client may say has an answer.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.protocol import Protocol, connectionDone

from empath.testing.script import Cut, Say, Script, Silence, reply

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from empath.testing.mock_smtp import MockServer

LONGEST: Final = 4096  # octets of a command line
_PATH: Final = re.compile(r"(FROM|TO):<([^<>]*)>((?: [^ ]+)*) *", re.IGNORECASE)
_NEEDED: Final = {  # by parameter: the keyword that permits it
    "BODY": "8BITMIME", "SIZE": "SIZE", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN", "NOTIFY": "DSN",
    "ORCPT": "DSN", "BY": "DELIVERBY", "HOLDFOR": "FUTURERELEASE", "HOLDUNTIL": "FUTURERELEASE",
    "MT-PRIORITY": "MT-PRIORITY", "AUTH": "AUTH",
}  # fmt: skip
OK: Final = reply(250, "2.0.0 Ok")
NO_SEQUENCE: Final = reply(503, "5.5.1 bad sequence of commands")


@attrs.frozen(slots=True)
class MockMessage:
    """
    A message that was taken: its envelope, the parameters of MAIL and of each RCPT as written, and its content without
    dot-stuffing. `at` is the clock's time, 0.0 without a clock.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    parameters: tuple[str, ...] = ()
    recipient_parameters: tuple[tuple[str, ...], ...] = ()
    tls: bool = False
    login: str = ""
    at: float = 0.0

    @property
    def header(self) -> bytes:
        """
        The header block, without the empty line behind it.
        """
        return self.content.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        """
        What stands behind the first empty line.
        """
        return self.content.partition(b"\r\n\r\n")[2]


@attrs.define(slots=True)
class _Mail:
    """
    What has come of a transaction.
    """

    sender: str
    parameters: tuple[str, ...]
    recipients: list[tuple[str, tuple[str, ...]]] = attrs.field(factory=list)
    chunks: list[bytes] = attrs.field(factory=list)
    spoiled: bool = False  # a chunk was refused: the others are, too (RFC 3030 §2)


class MockSession(Protocol):
    """
    One client. `peer` is its address, `commands` what it said, `tls` whether TLS protects it, `name` and `login` who it
    says it is.
    """

    def __init__(self, server: MockServer, peer: str) -> None:
        self.server = server
        self.peer = peer
        self.commands: list[str] = []
        self.tls = self.open = self._busy = False
        self.name = self.login = ""
        self._buffer = bytearray()
        self._mail: _Mail | None = None
        self._take: Callable[[], bool] = self._take_line
        self._held = True  # until the greeting, and while an answer takes its time
        self._answered = self._chunk = self._searched = 0
        self._last = False
        self._timers: list[Any] = []

    # What Twisted calls -----------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """
        Greet.
        """
        self.open = True
        self._answer("GREETING", "", reply(220, f"{self._script.ehlo[0]} ESMTP"))

    def dataReceived(self, data: bytes) -> None:
        """
        Take what has come, as far as its turn is.
        """
        self._buffer += data
        self._go_on()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The client is gone.
        """
        self.open = False
        for timer in self._timers:
            if timer.active():
                timer.cancel()

    def cut(self) -> None:
        """
        Break the connection.
        """
        if self.open:
            self._held = True
            self._wire.abortConnection()

    # Input ------------------------------------------------------------------------------------------------------

    @property
    def _script(self) -> Script:
        return self.server.script

    @property
    def _wire(self) -> Any:
        return self.transport

    def _go_on(self) -> None:
        """
        Take what has come, as far as answers do not hold it up; a call from within is part of it.
        """
        if self._busy:
            return
        self._busy = True
        try:
            while self.open and not self._held and self._take():
                pass
        finally:
            self._busy = False

    def _take_line(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self._buffer[:end]).decode("utf-8", "surrogateescape")
        del self._buffer[: end + 2]
        self._command(line)
        return True

    def _take_content(self) -> bool:
        """
        Take all up to the final dot; the empty line before it may be the content's own beginning.
        """
        if self._buffer.startswith(b".\r\n"):
            end, length = 0, 3
        else:
            end, length = self._buffer.find(b"\r\n.\r\n", max(0, self._searched - 4)), 5
            self._searched = len(self._buffer)
        if end < 0:
            return False
        content = bytes(self._buffer[: end + length - 3])
        del self._buffer[: end + length]
        self._take = self._take_line
        unstuffed = content.replace(b"\r\n.", b"\r\n")
        self._end_of_mail(unstuffed[1:] if unstuffed.startswith(b".") else unstuffed)
        return True

    def _take_chunk(self) -> bool:
        if len(self._buffer) < self._chunk:
            return False
        chunk = bytes(self._buffer[: self._chunk])
        del self._buffer[: self._chunk]
        self._take = self._take_line
        self._end_of_chunk(chunk)
        return True

    def _take_token(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        token = bytes(self._buffer[:end]).decode("ascii", "replace")
        del self._buffer[: end + 2]
        self._take = self._take_line
        self._log_in(token)
        return True

    # Commands ---------------------------------------------------------------------------------------------------

    def _command(self, line: str) -> None:
        self.commands.append(line)
        self.server.commands.append(line)
        if self._broken():
            return
        verb, _, rest = line.partition(" ")
        known = getattr(self, f"_on_{verb.lower()}", None)
        if len(line) > LONGEST:
            self._write(reply(500, "5.5.2 line too long"))
        elif known is None:
            self._write(reply(500, "5.5.2 command unknown"))
        else:
            known(line, rest)

    def _broken(self) -> bool:
        """
        Break the connection where the script has it, else count the command as one that is answered.
        """
        if 0 <= self._script.cut_after <= self._answered:
            self.cut()
            return True
        self._answered += 1
        return False

    def _on_ehlo(self, line: str, name: str) -> None:
        script = self._script
        more = ["STARTTLS"] * (script.offers_tls and not self.tls) + ["AUTH PLAIN"] * bool(script.logins)
        self._hello("EHLO", line, name, reply(250, *script.ehlo, *more))

    def _on_helo(self, line: str, name: str) -> None:
        self._hello("HELO", line, name, reply(250, self._script.ehlo[0]))

    def _hello(self, step: str, line: str, name: str, usual: bytes) -> None:
        if not name.strip():
            self._write(reply(501, "5.5.4 who are you?"))
        elif self._answer(step, line, usual):
            self.name, self._mail = name.strip(), None

    def _on_starttls(self, line: str, rest: str) -> None:
        if not self._script.offers_tls or self.tls:
            self._write(reply(502, "5.5.1 no TLS here"))
        else:
            self._answer("STARTTLS", line, reply(220, "2.0.0 go ahead"), self._begin_tls)

    def _begin_tls(self) -> None:
        self._buffer.clear()  # cleartext behind STARTTLS is not TLS's (RFC 3207 §5)
        if self._script.breaks_handshake:
            self._wire.write(b"this is no TLS\r\n")
            self._wire.loseConnection()
            return
        self._wire.startTLS(self._script.tls)
        self.tls, self._held = True, False
        self.name, self._mail = "", None

    def _on_auth(self, line: str, rest: str) -> None:
        mechanism, _, token = rest.partition(" ")
        if not self._script.logins or self.login:
            self._write(NO_SEQUENCE)
        elif mechanism.upper() != "PLAIN":
            self._write(reply(504, "5.5.4 only PLAIN"))
        elif token:
            self._log_in(token)
        else:
            self._take = self._take_token
            self._write(reply(334, ""))

    def _log_in(self, token: str) -> None:
        try:
            name, password = base64.b64decode(token, validate=True).decode().split("\0")[1:]
        except (ValueError, binascii.Error):
            self._write(reply(501, "5.5.2 cannot be read"))
            return
        if dict(self._script.logins).get(name) != password:
            self._answer("AUTH", "", reply(535, "5.7.8 wrong"))
        elif self._answer("AUTH", "", reply(235, "2.7.0 welcome")):
            self.login = name

    def _on_mail(self, line: str, rest: str) -> None:
        if self._script.logins and not self.login:
            self._write(reply(530, "5.7.0 authentication required"))
        elif self._mail is not None or not self.name:
            self._write(NO_SEQUENCE)
        elif (read := self._read(rest, "FROM")) and self._answer("MAIL", line, reply(250, "2.1.0 Ok")):
            self._mail = _Mail(*read)

    def _on_rcpt(self, line: str, rest: str) -> None:
        mail = self._mail
        if mail is None:
            self._write(NO_SEQUENCE)
        elif (read := self._read(rest, "TO")) and self._answer("RCPT", line, reply(250, "2.1.5 Ok")):
            mail.recipients.append(read)

    def _read(self, rest: str, word: str) -> tuple[str, tuple[str, ...]] | None:
        """
        Read a path and its parameters; None, and the client hears why, if they cannot be taken.
        """
        match = _PATH.fullmatch(rest)
        if match is None or match[1].upper() != word:
            self._write(reply(501, "5.5.4 syntax error"))
            return None
        parameters = tuple(match[3].split())
        offered = self._script.keywords() | {"AUTH" if self._script.logins else ""}
        for parameter in parameters:
            if _NEEDED.get(parameter.partition("=")[0].upper()) not in offered:
                self._write(reply(555, f"5.5.4 {parameter} was not offered"))
                return None
            if parameter.upper().startswith("SIZE=") and self._too_large(_number(parameter[5:])):
                self._write(reply(552, "5.3.4 too large"))
                return None
        return match[2], parameters

    def _too_large(self, size: int) -> bool:
        most = next((_number(line[5:]) for line in self._script.ehlo[1:] if line.upper().startswith("SIZE ")), 0)
        return 0 < most < size

    def _on_data(self, line: str, rest: str) -> None:
        mail = self._mail
        in_order = mail is not None and mail.recipients and not mail.chunks
        if not in_order and not self._script.says("DATA", line, self.server.seen):
            self._write(NO_SEQUENCE)
        elif self._answer("DATA", line, reply(354, "go ahead")):
            self._take, self._searched = self._take_content, 0

    def _on_bdat(self, line: str, rest: str) -> None:
        size, _, last = rest.partition(" ")
        if "CHUNKING" not in self._script.keywords() or not size.isdigit():
            self._write(reply(502, "5.5.1 no such command"))
            self.cut()  # what follows is no command
            return
        self._chunk, self._last = int(size), last.strip().upper() == "LAST"
        self._take = self._take_chunk

    def _end_of_chunk(self, chunk: bytes) -> None:
        mail = self._mail
        if mail is None or not mail.recipients or mail.spoiled:
            self._write(NO_SEQUENCE)
            return
        mail.chunks.append(chunk)
        if self._last:
            self._end_of_mail(b"".join(mail.chunks))
        else:
            mail.spoiled = not self._answer("BDAT", "", OK)

    def _end_of_mail(self, content: bytes) -> None:
        if 0 <= self._script.cut_after <= self._answered:
            self.cut()
            return
        mail, self._mail = self._mail, None
        mail = mail or _Mail("", ())  # where the script wanted content without a transaction
        line = " ".join([mail.sender, *(address for address, _ in mail.recipients)])
        usual = reply(552, "5.3.4 too large") if self._too_large(len(content)) else reply(250, "2.0.0 Ok: kept")
        if self._answer("CONTENT", line, usual) and usual.startswith(b"2"):
            self._keep(mail, content)

    def _keep(self, mail: _Mail, content: bytes) -> None:
        clock = self.server.clock
        addresses = tuple(address for address, _ in mail.recipients)
        parameters = tuple(each for _, each in mail.recipients)
        at = 0.0 if clock is None else clock.seconds()
        self.server.messages.append(
            MockMessage(mail.sender, addresses, content, mail.parameters, parameters, self.tls, self.login, at)
        )

    def _on_rset(self, line: str, rest: str) -> None:
        self._mail = None
        self._answer("RSET", line, OK)

    def _on_noop(self, line: str, rest: str) -> None:
        self._answer("NOOP", line, OK)

    def _on_vrfy(self, line: str, rest: str) -> None:
        self._answer("VRFY", line, reply(252, "2.1.5 send some mail and see"))

    def _on_quit(self, line: str, rest: str) -> None:
        self._answer("QUIT", line, reply(221, "2.0.0 bye"), self._wire.loseConnection)

    # Output -----------------------------------------------------------------------------------------------------

    def _answer(self, step: str, line: str, usual: bytes, then: Callable[[], None] | None = None) -> bool:
        """
        Answer as the script has it, else as usual; tell whether the step is done. `then` follows an answer that does.
        """
        act = self._script.act(step, line, self.server.seen)
        delay = self._script.delay(step)
        match act:
            case Silence():
                self._held = True
                return False
            case Cut():
                self._held = True
                self._later(delay, self._wire.loseConnection)
                return True
            case Say(raw):
                done = raw[:1] == usual[:1] and usual[:1] in b"23"
            case None:
                raw, done = usual, True
        self._held = True
        self._later(delay, lambda: self._send(raw, then if done else None))
        return done

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        if not delay:
            call()
            return
        if self.server.clock is None:
            raise RuntimeError("a slow answer needs a clock: MockSmtpServer().….build(clock)")
        self._timers = [timer for timer in self._timers if timer.active()]
        self._timers.append(self.server.clock.callLater(delay, call))

    def _send(self, raw: bytes, then: Callable[[], None] | None) -> None:
        """
        Write an answer, in pieces if the script wants that, then go on; what has come meanwhile is taken behind it.
        """
        size = self._script.piece or len(raw)
        self._wire.write(raw[:size])
        rest = raw[size:]
        if rest and self.server.clock is not None:
            self._held = True
            self._timers.append(self.server.clock.callLater(0, self._send, rest, then))
        elif rest:
            self._send(rest, then)
        elif then is not None:
            then()
        else:
            self._held = False
            self._go_on()

    def _write(self, raw: bytes) -> None:
        self._send(raw, None)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
