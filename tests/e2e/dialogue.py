"""
A raw SMTP client: sends exactly the bytes it is told to, and reads replies without judging them.
"""

from __future__ import annotations

import socket
from types import TracebackType

import attrs


class Closed(Exception):
    """
    The server closed the connection where a reply was expected.
    """


@attrs.frozen(slots=True)
class Heard:
    """
    A reply as it came: its code and its lines without code and line end.
    """

    code: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.code} " + " | ".join(self.lines)


def stuffed(content: bytes) -> bytes:
    """
    Make a message ready for DATA: dots doubled, last line ended, final dot added (RFC 5321 §4.5.2).
    """
    if content.startswith(b"."):
        content = b"." + content
    content = content.replace(b"\r\n.", b"\r\n..")
    end = b".\r\n" if not content or content.endswith(b"\r\n") else b"\r\n.\r\n"
    return content + end


class Dialogue:
    """
    One connection to an SMTP server; every wait is bounded by `timeout` seconds.
    """

    def __init__(self, port: int, address: str = "127.0.0.1", source: str = "127.0.0.1", timeout: float = 20.0) -> None:
        self._socket = socket.create_connection((address, port), timeout=timeout, source_address=(source, 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")

    def __enter__(self) -> Dialogue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """
        Close without QUIT.
        """
        self._reader.close()
        self._socket.close()

    def send(self, raw: bytes) -> None:
        """
        Send these bytes as they are.
        """
        self._socket.sendall(raw)

    def reply(self) -> Heard:
        """
        Read one reply of one or more lines; Closed at the end of the stream.
        """
        lines: list[str] = []
        while True:
            line = self._reader.readline(4096)
            if not line.endswith(b"\r\n"):
                raise Closed(repr(line))
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            lines.append(text[4:])
            if text[3:4] != "-":
                return Heard(int(text[:3]), tuple(lines))

    def say(self, command: str | bytes) -> Heard:
        """
        Send one command line, without its line end, and read the reply.
        """
        line = command.encode() if isinstance(command, str) else command
        self.send(line + b"\r\n")
        return self.reply()

    def greet(self, name: str = "client.test") -> Heard:
        """
        Read the banner and say EHLO; gives the reply to EHLO.
        """
        banner = self.reply()
        if banner.code != 220:
            raise Closed(str(banner))
        return self.say(f"EHLO {name}")

    def post(self, sender: str, recipients: list[str], content: bytes, parameters: str = "") -> Heard:
        """
        Carry out one transaction, step by step; gives the first reply that was not as hoped, or the last.
        """
        heard = self.say(f"MAIL FROM:<{sender}>{parameters}")
        if heard.code != 250:
            return heard
        for recipient in recipients:
            heard = self.say(f"RCPT TO:<{recipient}>")
            if heard.code != 250:
                return heard
        heard = self.say("DATA")
        if heard.code != 354:
            return heard
        self.send(stuffed(content))
        return self.reply()

    def at_end(self) -> bool:
        """
        Wait until the server closes; tell whether it did so without saying more.
        """
        try:
            return self._reader.read(1) == b""
        except ConnectionResetError:
            return True


def queue_id(heard: Heard) -> str:
    """
    Take the queue id out of `250 2.0.0 Ok: queued as <ULID>`.
    """
    words = heard.lines[-1].split()
    if heard.code != 250 or words[1:4] != ["Ok:", "queued", "as"]:
        raise AssertionError(f"not queued: {heard}")
    return words[4]
