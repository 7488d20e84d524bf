"""
How long a server may take for each step of a session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime

from empath.config.schema import Delivery as Section
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


def timeouts_of(section: Section) -> dict[State, float]:
    """
    Give the time of each state, in seconds (RFC 5321 §4.5.3.2).
    """
    times = section.timeouts
    return {
        State.GREETING: times.greeting,
        State.EHLO: times.ehlo,
        State.HELO: times.ehlo,
        State.LHLO: times.ehlo,
        State.STARTTLS: times.starttls,
        State.HANDSHAKE: times.starttls,
        State.AUTH: times.ehlo,
        State.READY: section.connection_pool.idle_timeout,
        State.RSET: times.mail_from,
        State.MAIL: times.mail_from,
        State.RCPT: times.rcpt_to,
        State.DATA: times.data,
        State.CONTENT: times.data_block,
        State.DOT: times.data_termination,
        State.BDAT: times.data_block,
        State.LAST: times.data_termination,
        State.SPOILED: times.data_block,
        State.QUIT: times.quit,
        State.CLOSED: times.quit,
    }
