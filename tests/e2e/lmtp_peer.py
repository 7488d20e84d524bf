"""
A small LMTP server (RFC 2033) at a UNIX socket, for what a real one does not do at will.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

GONE = b""


class LmtpPeer:
    """
    Keeps the content that it took for each recipient; `verdicts` are the answers to the first contents, one for each
    recipient: GONE closes the connection instead. What has no verdict any more is accepted.
    """

    def __init__(self, path: Path, verdicts: Sequence[bytes] = ()) -> None:
        self.kept: list[tuple[str, bytes]] = []
        self.commands: list[bytes] = []
        self._verdicts = list(verdicts)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(16)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """
        Take no more connections.
        """
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)

    def taken_for(self, recipient: str) -> int:
        """
        Count the copies for a recipient.
        """
        return sum(each == recipient for each, _ in list(self.kept))

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._session, args=(connection,), daemon=True).start()

    def _session(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as heard:
            say: Callable[[bytes], None] = connection.sendall
            say(b"220 peer.test LMTP\r\n")
            recipients: list[str] = []
            while line := heard.readline():
                self.commands.append(line.rstrip())
                verb = line[:4].upper().rstrip()
                if verb == b"LHLO":
                    say(b"250-peer.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                elif verb == b"RCPT":
                    recipients.append(line[line.index(b"<") + 1 : line.rindex(b">")].decode())
                    say(b"250 2.1.5 ok\r\n")
                elif verb == b"DATA":
                    say(b"354 go\r\n")
                    if not self._judge(say, heard, recipients):
                        return
                else:
                    recipients = [] if verb == b"MAIL" else recipients
                    say(b"250 2.0.0 ok\r\n")

    def _judge(self, say: Callable[[bytes], None], heard: BinaryIO, recipients: list[str]) -> bool:
        """
        Read content, and answer for each recipient; False once the connection is to be closed.
        """
        content = b""
        while (line := heard.readline()) not in (b".\r\n", b""):
            content += line.removeprefix(b".")
        for recipient in recipients:
            verdict = self._verdicts.pop(0) if self._verdicts else b"250 2.0.0 kept"
            if verdict == GONE or verdict.startswith(b"2"):
                self.kept.append((recipient, content))
            if verdict == GONE:
                return False
            say(verdict + b"\r\n")
        return True
