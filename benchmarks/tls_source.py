"""
A load over STARTTLS, which smtp-source cannot make: `python -m benchmarks.tls_source PORT COUNT SIZE SESSIONS HOW`.

HOW is "one" or "many" (messages a connection). Certificates are not judged. Ends with code 1 and a
line on standard error unless every message was accepted.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Iterator

EHLO = b"EHLO source.bench.test\r\n"
ENVELOPE = b"MAIL FROM:<sender@source.bench.test>\r\nRCPT TO:<recipient@sink.bench.test>\r\nDATA\r\n"
HEADER = b"From: sender@source.bench.test\r\nTo: recipient@sink.bench.test\r\nSubject: load\r\n\r\n"
LINE = b"X" * 78 + b"\r\n"
PATIENCE = 60.0


class Refused(Exception):
    """
    The server said something else than it should.
    """


class Talk:
    """
    One session over TLS.
    """

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._context = context
        self._socket: socket.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""
        self.expect(b"220")
        self.say(EHLO, b"250")
        self.say(b"STARTTLS\r\n", b"220")
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost")
        self.say(EHLO, b"250")

    def say(self, command: bytes, *codes: bytes) -> None:
        """
        Send, and expect a reply of each code in turn.
        """
        self._socket.sendall(command)
        for code in codes:
            self.expect(code)

    def expect(self, code: bytes) -> None:
        """
        Read one whole reply.
        """
        while True:
            line, end, rest = self._read.partition(b"\r\n")
            if end:
                self._read = rest
                if not line.startswith(code):
                    raise Refused(line.decode(errors="replace"))
                if line[3:4] != b"-":
                    return
            elif not (received := self._socket.recv(65536)):
                raise Refused("the connection is gone")
            else:
                self._read += received

    def quit(self) -> None:
        """
        End the session.
        """
        self.say(b"QUIT\r\n", b"221")
        self._socket.close()


def content(size: int) -> bytes:
    """
    Make a message of about `size` bytes, with its final dot.
    """
    return HEADER + LINE * max(1, (size - len(HEADER)) // len(LINE)) + b".\r\n"


def send(port: int, turns: Iterator[int], body: bytes, many: bool, trouble: list[str]) -> None:
    """
    Send messages as long as there are turns, in one session or each in its own.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    talk: Talk | None = None
    try:
        for _ in turns:
            talk = talk or Talk(port, context)
            talk.say(ENVELOPE, b"250", b"250", b"354")
            talk.say(body, b"250")
            if not many:
                talk.quit()
                talk = None
        if talk is not None:
            talk.quit()
    except (OSError, Refused) as failure:
        trouble.append(str(failure))


def main(arguments: list[str]) -> int:
    """
    Do what the command line says; tells the exit code.
    """
    port, count, size, sessions = map(int, arguments[:4])
    turns, body = iter(range(count)), content(size)  # an iterator's step is atomic
    trouble: list[str] = []
    threads = [
        threading.Thread(target=send, args=(port, turns, body, arguments[4] == "many", trouble))
        for _ in range(sessions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if trouble:
        print(f"{len(trouble)} sessions failed: {trouble[0]}", file=sys.stderr)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
