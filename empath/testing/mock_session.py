"""
One session of a scripted server: what each command does.

Fatal to the session: a script that says so, and a client that leaves. Everything that a client may say has an answer.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

import attrs

from empath.testing.mock_line import MockLine
from empath.testing.mock_message import MockMessage
from empath.testing.script import reply

if TYPE_CHECKING:
    from empath.testing.mock_smtp import MockServer

LONGEST: Final = 4096  # octets of a command line
_PATH: Final = re.compile(r"(FROM|TO):<([^<>]*)>((?: [^ ]+)*) *", re.IGNORECASE)
_NEEDED: Final = {  # by parameter: the keyword that permits it
    "BODY": "8BITMIME", "SIZE": "SIZE", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN", "NOTIFY": "DSN",
    "ORCPT": "DSN", "BY": "DELIVERBY", "HOLDFOR": "FUTURERELEASE", "HOLDUNTIL": "FUTURERELEASE",
    "MT-PRIORITY": "MT-PRIORITY", "AUTH": "AUTH", "REQUIRETLS": "REQUIRETLS",
}  # fmt: skip
OK: Final = reply(250, "2.0.0 Ok")
NO_SEQUENCE: Final = reply(503, "5.5.1 bad sequence of commands")


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


class MockSession(MockLine):
    """
    One client. `peer` is its address, `commands` what it said, `tls` whether TLS protects it, `name` and `login` who it
    says it is.
    """

    def __init__(self, server: MockServer, peer: str) -> None:
        super().__init__(server, peer)
        self.commands: list[str] = []
        self.tls = False
        self.name = self.login = ""
        self._mail: _Mail | None = None
        self._answered = 0
        self._last = False

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


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
