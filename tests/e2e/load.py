"""
A load of our own: sessions in threads that write down each message that got its 250.
"""

from __future__ import annotations

import contextlib
import itertools
import threading

import attrs

from tests.e2e.dialogue import Closed, Dialogue, queue_id

DOMAIN = "one.test"
PAUSE = 0.05


@attrs.frozen(slots=True)
class Accepted:
    """
    A message that was answered 250: the recipient that only it has, and its queue id.
    """

    recipient: str
    queue_id: str


class Load:
    """
    Sends small messages over `sessions` connections from `start` to `finish`, connecting again when one breaks.
    """

    def __init__(self, port: int, sessions: int, size: int = 1024, per_connection: int = 10) -> None:
        self._port = port
        self._sessions = sessions
        self._content = b"Subject: load\r\n\r\n" + b"x" * size + b"\r\n"
        self._per_connection = per_connection
        self._numbers = itertools.count()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.accepted: list[Accepted] = []
        self.refused: list[str] = []
        self.tried = 0

    def start(self) -> None:
        """
        Begin.
        """
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(self._sessions)]
        for thread in self._threads:
            thread.start()

    def finish(self, seconds: float = 60.0) -> None:
        """
        End each session after its message; AssertionError if one does not end.
        """
        self._over.set()
        for thread in self._threads:
            thread.join(seconds)
            if thread.is_alive():
                raise AssertionError("a session of the load did not end")

    def _run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError, Closed):
                with Dialogue(self._port, timeout=30) as client:
                    client.greet()
                    self._session(client)
                continue
            self._over.wait(PAUSE)

    def _session(self, client: Dialogue) -> None:
        for _ in range(self._per_connection):
            if self._over.is_set():
                break
            recipient = f"m{next(self._numbers)}@{DOMAIN}"
            self.tried += 1
            heard = client.post(f"load@origin.{DOMAIN}", [recipient], self._content)
            if heard.code == 250:
                self.accepted.append(Accepted(recipient, queue_id(heard)))
            else:
                self.refused.append(str(heard))
                return
        client.send(b"QUIT\r\n")
