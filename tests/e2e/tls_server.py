"""
A small SMTP server with STARTTLS or implicit TLS, in the test's own reactor.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver

REPLIES: Final = {"MAIL": b"250 ok", "RCPT": b"250 ok", "DATA": b"354 go", "RSET": b"250 ok", "QUIT": b"221 bye"}


@attrs.define
class Behaviour:
    """
    What the server does. `after_go` is sent in the same piece as the 220 to STARTTLS; `shake` begins TLS at all.
    """

    context: Any = None
    implicit: bool = False
    after_go: bytes = b""
    shake: bool = True
    contents: list[bytes] = attrs.field(factory=list)
    secure: list[bool] = attrs.field(factory=list)
    names: list[bytes] = attrs.field(factory=list)


class TlsSmtp(LineOnlyReceiver):
    """
    One session.
    """

    MAX_LENGTH = 1 << 20

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.secure = behaviour.implicit
        self.content: list[bytes] | None = None

    def connectionMade(self) -> None:
        """
        Greet.
        """
        self.sendLine(b"220 tls.test")

    def lineReceived(self, line: bytes) -> None:
        """
        Answer a command, or keep a line of content.
        """
        if self.content is not None:
            self._content_line(line)
            return
        verb = line.split(b" ")[0].decode()
        if verb == "EHLO":
            offered = b"" if self.secure or self.behaviour.context is None else b"250-STARTTLS\r\n"
            self.sendLine(b"250-tls.test\r\n" + offered + b"250 PIPELINING")
        elif verb == "STARTTLS":
            self._start_tls()
        else:
            self.content = [] if verb == "DATA" else None
            self.sendLine(REPLIES[verb])

    def _content_line(self, line: bytes) -> None:
        assert self.content is not None
        if line != b".":
            self.content.append(line[1:] if line.startswith(b".") else line)
            return
        self.behaviour.contents.append(b"".join(each + b"\r\n" for each in self.content))
        self.behaviour.secure.append(self.secure)
        self.content = None
        self.sendLine(b"250 2.0.0 kept")

    def _start_tls(self) -> None:
        transport: Any = self.transport
        transport.write(b"220 go\r\n" + self.behaviour.after_go)
        if self.behaviour.shake:
            self.secure = True
            transport.startTLS(self.behaviour.context)

    def dataReceived(self, data: bytes) -> None:
        """
        Take lines; or answer what should have been a handshake with nonsense.
        """
        if data.startswith(b"\x16\x03"):
            self.sendLine(b"this is no TLS" * 10)
            assert self.transport is not None
            self.transport.loseConnection()
        else:
            super().dataReceived(data)


class TlsSmtpFactory(Factory):
    """
    Makes sessions of one behaviour.
    """

    noisy = False

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    def buildProtocol(self, addr: object) -> TlsSmtp:
        """
        Make a session.
        """
        return TlsSmtp(self.behaviour)
