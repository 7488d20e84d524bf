"""
How long a server may take for each step of a session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime

from empath.net.deadline import Deadline
from empath.smtp.client import ClientSession
from empath.smtp.client_events import State


class StepTime:
    """
    The deadline of the step that a session has come to; `timeouts` are in seconds.
    """

    __slots__ = ("_deadline", "_replies", "_session", "_state", "_stopped", "_timeouts")

    def __init__(
        self,
        session: ClientSession,
        clock: IReactorTime,
        timeouts: Mapping[State, float],
        expired: Callable[[], None],
    ) -> None:
        self._session = session
        self._timeouts = timeouts
        self._deadline = Deadline(clock, expired)
        self._state = session.state
        self._replies = session.replies
        self._stopped = False

    def keep(self) -> None:
        """
        Give the server the time of the step it has come to; bytes that are no whole reply win it no more.
        """
        session = self._session
        if session.replies != self._replies or session.state is not self._state:
            self._state, self._replies = session.state, session.replies
            self.give(session.state)

    def give(self, state: State) -> None:
        """
        Give the time of a state from now on.
        """
        if not self._stopped:
            self._deadline.set(self._timeouts[state])

    def rest(self, seconds: float) -> None:
        """
        Let an idle connection be for so long at the most.
        """
        self._deadline.set(seconds)

    def stop(self) -> None:
        """
        The connection is gone.
        """
        self._stopped = True
        self._deadline.stop()
