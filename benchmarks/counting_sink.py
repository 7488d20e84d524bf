"""
A sink that counts what smtp-sink does not, and knows STARTTLS: `python -m benchmarks.counting_sink PORT HOW [FOLDER]`.

HOW is "plain", "tls" or "tls-no-tickets" (every handshake is a full one). What was counted goes to standard output, as
"conn=… resumed=… turns=… signed=… mesg=…": connections, those among them that resumed a TLS session, round trips (times
that a client waited for an answer: replies that went out in one piece, and TLS handshakes), DKIM signatures, messages.
With FOLDER each message is kept there.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.mtas import certify

HELLO = b"250-sink.bench.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n%s250 SIZE 10485760\r\n"
REPLIES = {b"DATA": b"354 go\r\n", b"QUIT": b"221 bye\r\n", b"STAR": b"220 go\r\n"}
END = b"\r\n.\r\n"
SIGNATURE = b"\r\nDKIM-Signature:"
PATIENCE = 120.0


class Counts:
    """
    What all connections came to.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connections = self.resumed = self.turns = self.signatures = self.messages = 0

    def __bytes__(self) -> bytes:
        with self.lock:
            told = self.connections, self.resumed, self.turns, self.signatures, self.messages
        return b"conn=%d resumed=%d turns=%d signed=%d mesg=%d\r" % told

    def add(self, resumed: int, turns: int) -> None:
        """
        Count a connection that is over.
        """
        with self.lock:
            self.resumed += resumed
            self.turns += turns
            self.connections += 1

    def add_message(self, content: bytes, folder: Path | None) -> None:
        """
        Count a message that came, and keep it in a folder.
        """
        signatures = (b"\r\n" + content.partition(b"\r\n\r\n")[0]).count(SIGNATURE)
        with self.lock:
            if folder is not None:
                unstuffed = content.replace(b"\r\n..", b"\r\n.") + b"\r\n"
                (folder / f"{self.messages}.eml").write_bytes(unstuffed)
            self.signatures += signatures
            self.messages += 1


class Talk:
    """
    One session.
    """

    def __init__(
        self, plain: socket.socket, context: ssl.SSLContext | None, counts: Counts, folder: Path | None = None
    ) -> None:
        self._socket = plain
        self._context = context
        self._counts = counts
        self._folder = folder
        self._heard = b""
        self._in_content = False
        self._resumed = 0
        self._turns = 0

    def run(self) -> None:
        """
        Answer until the client leaves.
        """
        try:
            self._say(b"220 sink.bench.test\r\n")
            while piece := self._socket.recv(65536):
                self._heard += piece
                if replies := self._replies():
                    self._say(replies)
                if replies.endswith(REPLIES[b"STAR"]):
                    self._secure()
        except OSError:
            pass  # the client is gone
        finally:
            self._counts.add(self._resumed, self._turns)
            self._socket.close()

    def _say(self, replies: bytes) -> None:
        self._turns += 1
        self._socket.sendall(replies)

    def _secure(self) -> None:
        assert self._context is not None
        self._socket = secured = self._context.wrap_socket(self._socket, server_side=True)
        self._context = None
        self._turns += 1
        self._resumed = int(bool(secured.session_reused))

    def _replies(self) -> bytes:
        """
        Take all that is whole; tells the replies to it in one piece.
        """
        said = b""
        while True:
            found, end, rest = self._heard.partition(END if self._in_content else b"\r\n")
            if not end:
                return said
            self._heard = rest
            said += self._take(found)

    def _take(self, line: bytes) -> bytes:
        if self._in_content:
            self._in_content = False
            self._counts.add_message(line, self._folder)
            return b"250 2.0.0 taken\r\n"
        verb = line[:4].upper()
        self._in_content = verb == b"DATA"
        if verb == b"EHLO":
            return HELLO % (b"250-STARTTLS\r\n" if self._context is not None else b"")
        return REPLIES.get(verb, b"250 2.0.0 ok\r\n")


def context_for(how: str) -> ssl.SSLContext | None:
    """
    Make what TLS is spoken with; None where it is not.
    """
    if how == "plain":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0 if how == "tls-no-tickets" else 2
    with tempfile.TemporaryDirectory() as folder:
        certify(Path(folder))
        context.load_cert_chain(Path(folder) / "certificate.pem", Path(folder) / "key.pem")
    return context


def accept(
    listening: socket.socket, context: ssl.SSLContext | None, counts: Counts, folder: Path | None = None
) -> None:
    """
    Serve whoever comes.
    """
    while True:
        client, _ = listening.accept()
        client.settimeout(PATIENCE)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Talk(client, context, counts, folder).run, daemon=True).start()


def main(arguments: list[str]) -> int:
    """
    Serve until ended, and tell what was counted whenever that changed.
    """
    port, how = int(arguments[0]), arguments[1]
    counts, context = Counts(), context_for(how)
    folder = Path(arguments[2]) if len(arguments) > 2 else None
    listening = socket.create_server(("127.0.0.1", port), backlog=1024)
    threading.Thread(target=accept, args=(listening, context, counts, folder), daemon=True).start()
    told = b""
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        while True:
            if (now := bytes(counts)) != told:
                told = now
                sys.stdout.buffer.write(now)
                sys.stdout.buffer.flush()
            time.sleep(0.01)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
