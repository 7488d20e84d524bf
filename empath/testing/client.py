"""
A scripted SMTP client in memory: says exactly what it is told to, and waits for replies in virtual time.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Final, Protocol

from empath.testing.certificates import anyone
from empath.testing.client_line import Creator, Line, stuffed

PATIENCE: Final = 600.0  # seconds for a reply


class Disconnected(AssertionError):
    """
    The server closed the connection, or it never came to be, where a reply was expected.
    """


class NoReply(AssertionError):
    """
    No reply came in time.
    """


class Time(Protocol):
    """
    What a client needs of a world.
    """

    def seconds(self) -> float:
        """
        Tell the time.
        """

    def settle(self) -> None:
        """
        Let everything happen that needs no time.
        """

    def step(self, until: float) -> bool:
        """
        Let time pass to the next thing that happens up to `until`; tells whether there was one.
        """


class Client:
    """
    One client at `peer`. `dial` connects a protocol; `dialogue` is all that was said, by lines with "C: " or "S: ".

    Replies are texts: "250 2.1.0 Ok", and of more than one line "250-mx.example.org\\n250 PIPELINING".
    """

    def __init__(self, dial: Callable[[Any], None], time: Time, peer: str, name: str = "client.example") -> None:
        self.peer = peer
        self.name = name
        self.dialogue: list[str] = []
        self.refused: dict[str, str] = {}
        self._dial = dial
        self._time = time
        self._line: Line | None = None
        self._introduced = False

    @property
    def connected(self) -> bool:
        """
        Whether there is a connection, as far as the client has seen.
        """
        return self._line is not None and not self._line.gone

    def connect(self) -> str:
        """
        Connect, and give the greeting.
        """
        self._begin()
        return self.reply()

    def connect_silently(self) -> None:
        """
        Connect, and do not wait for the greeting.
        """
        self._begin()

    def ehlo(self, name: str = "") -> str:
        """
        Say EHLO, give the reply; connects first if need be.
        """
        if not self.connected:
            greeting = self.connect()
            if not greeting.startswith("220"):
                return greeting
        reply = self.command(f"EHLO {name or self.name}")
        self._introduced = reply.startswith("250")
        return reply

    def command(self, line: str | bytes) -> str:
        """
        Say a command line, without its line end, and give the reply.
        """
        raw = line.encode() if isinstance(line, str) else line
        self.write(raw + b"\r\n")
        return self.reply()

    def write(self, raw: bytes) -> None:
        """
        Send these bytes as they are; replies are fetched with `reply`.
        """
        line = self._line
        if line is None or line.gone:
            raise Disconnected(self._story(f"no connection to say {raw[:60]!r} on"))
        self._note("C", raw)
        line.wire.write(raw)
        self._time.settle()

    def reply(self, within: float = PATIENCE) -> str:
        """
        Give the next reply, waiting for it in virtual time. Disconnected, NoReply: none comes.
        """
        line = self._line
        assert line is not None, "connect first"
        until = self._time.seconds() + within
        self._time.settle()
        while (reply := line.take()) is None:
            if line.gone:
                raise Disconnected(self._story("the server closed the connection"))
            if not self._time.step(until):
                raise NoReply(self._story(f"no reply within {within:g} s"))
        self.dialogue += [f"S: {each}" for each in reply.split("\n")]
        return reply

    def starttls(self, context: Any = None) -> str:
        """
        Say STARTTLS and shake hands, with a pyOpenSSL context or taking any certificate; gives the reply to STARTTLS.
        """
        reply = self.command("STARTTLS")
        if reply.startswith("220"):
            self.begin_tls(context)
        return reply

    def begin_tls(self, context: Any = None) -> None:
        """
        Shake hands now: for TLS from the first byte.
        """
        assert self._line is not None, "connect first"
        self._introduced = False
        self._line.wire.startTLS(Creator(context or anyone()))
        self._time.settle()

    def login(self, name: str, password: str) -> str:
        """
        Log in with AUTH PLAIN, connecting and saying EHLO first if need be; gives the reply.
        """
        if not self.connected or not self._introduced:
            reply = self.ehlo()
            if not reply.startswith("250"):
                return reply
        return self.command("AUTH PLAIN " + b64encode(f"\0{name}\0{password}".encode()).decode("ascii"))

    def send(
        self,
        sender: str,
        recipients: Sequence[str],
        content: bytes | EmailMessage,
        parameters: str = "",
        keep: bool = True,
    ) -> str:
        """
        Send one message as a client does, connecting and saying EHLO first if need be; `sender` "" is the null
        reverse-path. Bytes are sent as they are, and need line ends of CRLF; a message of Python's `email` gets them.

        Gives the reply that ended it: to the content, or the refusal that left nothing to send. `refused` are the
        refusals of single recipients. The session stays open unless `keep` is false.
        """
        if not self.connected or not self._introduced:
            reply = self.ehlo()
            if not reply.startswith("250"):
                return self._leave(reply, False)
        raw = content if isinstance(content, bytes) else content.as_bytes(policy=SMTP)
        reply = self._transact(sender, recipients, raw, parameters)
        return self._leave(reply, keep)

    def quit(self) -> str:
        """
        Say QUIT, give the reply.
        """
        return self.command("QUIT")

    def close(self) -> None:
        """
        Go away without QUIT.
        """
        if self._line is not None and not self._line.gone:
            self._line.wire.loseConnection()
            self._time.settle()

    def _transact(self, sender: str, recipients: Sequence[str], content: bytes, parameters: str) -> str:
        self.refused = {}
        reply = self.command(f"MAIL FROM:<{sender}>{' ' + parameters if parameters else ''}")
        if not reply.startswith("2"):
            return reply
        for recipient in recipients:
            reply = self.command(f"RCPT TO:<{recipient}>")
            if not reply.startswith("2"):
                self.refused[recipient] = reply
        if len(self.refused) == len(recipients):
            self._reset()
            return reply
        reply = self.command("DATA")
        if not reply.startswith("354"):
            self._reset()
            return reply
        self.write(stuffed(content))
        return self.reply()

    def _reset(self) -> None:
        self._time.settle()
        if self.connected:
            self.command("RSET")

    def _leave(self, reply: str, keep: bool) -> str:
        self._time.settle()
        if not keep and self.connected:
            self.quit()
        return reply

    def _begin(self) -> None:
        self.close()
        self._line = Line()
        self._introduced = False
        self._note("C", f"(connects from {self.peer})".encode())
        self._dial(self._line)
        self._time.settle()

    def _note(self, who: str, raw: bytes) -> None:
        text = raw.decode("utf-8", "replace").replace("\r\n", "\n")
        self.dialogue += [f"{who}: {each}" for each in text.removesuffix("\n").split("\n")]

    def _story(self, what: str) -> str:
        return "\n".join([what, *self.dialogue[-40:]])
