"""
The client's end of one connection.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer


class Line(Protocol):
    """
    The client's end of one connection.
    """

    def __init__(self) -> None:
        self.gone = False
        self._heard = b""

    @property
    def wire(self) -> Any:
        """
        The transport.
        """
        return self.transport

    def dataReceived(self, data: bytes) -> None:
        """
        Keep what comes.
        """
        self._heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Nothing more comes.
        """
        self.gone = True

    def take(self) -> str | None:
        """
        Take one whole reply out of what has come.
        """
        lines: list[str] = []
        at = 0
        while (end := self._heard.find(b"\r\n", at)) >= 0:
            text = self._heard[at:end].decode("utf-8", "replace")
            at = end + 2
            lines.append(text)
            if text[3:4] != "-":
                self._heard = self._heard[at:]
                return "\n".join(lines)
        return None


@implementer(IOpenSSLClientConnectionCreator)
class Creator:
    """
    Begins TLS with a context.
    """

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: N803 Twisted names it
        """
        Make the connection.
        """
        return SSL.Connection(self._context, None)


def stuffed(content: bytes) -> bytes:
    """
    Make a message ready for DATA: dots doubled, last line ended, final dot added (RFC 5321 §4.5.2).
    """
    if content.startswith(b"."):
        content = b"." + content
    content = content.replace(b"\r\n.", b"\r\n..")
    return content + (b".\r\n" if not content or content.endswith(b"\r\n") else b"\r\n.\r\n")
