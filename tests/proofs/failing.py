"""
A storing server that fails by chance, and knows which of its answers may not have arrived.
"""

from __future__ import annotations

import random
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.e2e.scripted import Action, Close, Hang, Script, Wait, says
from tests.e2e.storing import StoringSmtpServer
from tests.e2e.storing_session import Done, Options, Place, Session, address

REFUSED: Final = "no."  # local parts that begin so are unknown everywhere
LONGEST_WAIT: Final = 2.5  # seconds; the client's shortened time-outs are longer
STEPS: Final[dict[str, tuple[tuple[float, Callable[[random.Random], Action]], ...]]] = {
    "CONNECT": (
        (0.02, lambda _: says(421, "4.3.2 too busy")),
        (0.01, lambda _: Close()),
        (0.02, lambda chance: Wait(chance.uniform(0, LONGEST_WAIT))),
        (0.003, lambda _: Hang()),
    ),
    "EHLO": ((0.01, lambda _: says(451, "4.3.0 not now")), (0.01, lambda _: Close())),
    "MAIL": ((0.02, lambda _: says(451, "4.3.0 not now")), (0.01, lambda _: says(421, "4.3.2 closing"))),
    "RCPT": ((0.02, lambda _: says(451, "4.7.1 greylisted")), (0.01, lambda _: says(452, "4.5.3 too many"))),
    "DATA": ((0.02, lambda _: says(451, "4.3.0 not now")), (0.01, lambda _: Close()), (0.002, lambda _: Hang())),
    "BODY": ((0.02, lambda _: Close()),),  # within the content, before the dot
    "CONTENT": (
        (0.03, lambda _: says(451, "4.3.0 not now")),
        (0.01, lambda _: says(421, "4.3.2 closing")),
        (0.02, lambda _: Close()),  # after the dot: kept, and the answer is lost
        (0.03, lambda chance: Wait(chance.uniform(0, LONGEST_WAIT))),
        (0.002, lambda _: Hang()),
        (0.01, lambda _: says(554, "5.6.0 never")),
    ),
    "QUIT": ((0.05, lambda _: Close()),),
}
PERMANENT: Final = 554
_PATH: Final = re.compile(rb"<([^>]*)>")


class Weather(Script):
    """
    Deviates by chance until it is `calm`; unknown recipients stay unknown. `refused` are all that were for ever.

    A server with `merciful` weather refuses nothing for ever: the one that takes the reports.
    """

    def __init__(self, seed: int, *, merciful: bool = False) -> None:
        super().__init__()
        self.calm = False
        self.refused: set[str] = set()
        self.deviations: Counter[str] = Counter()
        self._merciful = merciful
        self._chance = random.Random(seed)
        self._guard = threading.Lock()

    def take(self, step: str, line: bytes) -> Action | None:
        """
        Tell what to do now.
        """
        with self._guard:
            if step == "RCPT" and address(line).startswith(REFUSED):
                self.refused.add(address(line))
                return says(550, "5.1.1 no such user")
            action = None if self.calm else self._drawn(step)
            if action == says(PERMANENT, "5.6.0 never"):
                if self._merciful:
                    return None
                self.refused.update(path.decode() for path in _PATH.findall(line)[1:])
            if action is not None:
                self.deviations[f"{step} {type(action).__name__}"] += 1
            return action

    def _drawn(self, step: str) -> Action | None:
        drawn = self._chance.random()
        for probability, make in STEPS.get(step, ()):
            if drawn < probability:
                return make(self._chance)
            drawn -= probability
        return None


class FailingServer(StoringSmtpServer):
    """
    A storing server in such weather. `doubtful` counts, by recipient, the final dots whose answer was not sent whole.
    """

    def __init__(self, address: str, port: int, weather: Weather, options: Options) -> None:
        super().__init__(address, port, options)
        self.script = self.weather = weather
        self.doubtful: Counter[str] = Counter()
        self._doubting = threading.Lock()

    def session(self, place: Place, connection: socket.socket, stopped: threading.Event) -> Session:
        """
        Make a session that tells of its doubts.
        """
        return FailingSession(place, connection, stopped, self.doubt)

    def doubt(self, recipients: tuple[str, ...], change: int) -> None:
        """
        Count answers that are under way (+1), and those that were sent (-1).
        """
        with self._doubting:
            for recipient in recipients:
                self.doubtful[recipient] += change


class FailingSession(Session):
    """
    Also breaks off within the content, and says when the answer to a final dot is under way.
    """

    def __init__(
        self,
        place: Place,
        connection: socket.socket,
        stopped: threading.Event,
        doubt: Callable[[tuple[str, ...], int], None],
    ) -> None:
        super().__init__(place, connection, stopped)
        self._doubt = doubt

    def _content(self) -> tuple[bytes | None, int, str]:
        if self._place.script.take("BODY", b"") is not None:
            self._piece()
            raise Done
        return super()._content()

    def _end_of_data(self, content: bytes | None, size: int, digest: str) -> None:
        recipients = tuple(address(line) for line in self._rcpt)
        self._doubt(recipients, 1)
        super()._end_of_data(content, size, digest)  # raises where no answer, or not all of it, could be sent
        self._doubt(recipients, -1)
