"""
What is asked about SMTP as it is spoken now.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from empath.control.serving import Answers, Call, NotFound, Refused
from empath.control.terms.smtp import (
    FollowDialogues,
    Killed,
    KillSession,
    ListSessions,
    LiveSession,
    SessionPage,
    TraceEnd,
    TraceLine,
)
from empath.net.dialogues import Dialogues, Interest, Overheard, TooManyWatches, Watch, peers
from empath.receive.live import Live
from empath.receive.shown import Shown
from empath.service.control.paging import at, bounded

NO_PEER: Final = 'peer: "{}" is no IP address, network, "unix", or path of a UNIX socket'
LONGEST_TRACE: Final = 7 * 86400.0  # seconds


class SmtpControl:
    """
    Answers for the sessions that are `shown`, and for all `dialogues`.
    """

    def __init__(self, shown: Shown, dialogues: Dialogues, clock: IReactorTime) -> None:
        self._shown = shown
        self._dialogues = dialogues
        self._clock = clock

    def answers(self) -> Answers:
        """
        Give what can be asked.
        """
        return {ListSessions: self._list, KillSession: self._kill, FollowDialogues: self._follow}

    def _list(self, request: ListSessions, call: Call) -> SessionPage:
        peer = _peer(request.peer) if request.peer else None
        try:
            found, after = self._shown.page(request.after, bounded(request.limit), peer)
        except ValueError as error:
            raise Refused(f"after: {error}") from error
        return SessionPage(tuple(_row(each) for each in found), after)

    def _kill(self, request: KillSession, call: Call) -> Killed:
        if bool(request.session) is bool(request.peer):
            raise Refused("say which session is to end, or whose: the id of one, or the address of a peer")
        ended = self._shown.kill(request.session, _peer(request.peer) if request.peer else None)
        if not ended:
            what = f"session {request.session}" if request.session else f"session of {request.peer}"
            raise NotFound(f"there is no {what} any more, or there never was")
        return Killed(ended)

    async def _follow(self, request: FollowDialogues, call: Call) -> TraceEnd:
        watch = self._begin(request)
        timer = self._clock.callLater(request.seconds, watch.end) if request.seconds else None
        told = 0
        try:
            call.tell(TraceLine(at(self._clock.seconds()), "", "server", "", "began", True, ""))
            while lines := await watch.take():
                for line in lines[: request.lines - told] if request.lines else lines:
                    told += 1
                    if (room := call.tell(_line(line))) is not None:
                        await room
                if told == request.lines:
                    break
            return TraceEnd(told, watch.dropped)
        finally:
            watch.end()
            _cancel(timer)

    def _begin(self, request: FollowDialogues) -> Watch:
        """
        Begin to watch, if what is wanted can be.
        """
        if not (request.peer or request.domain or request.id):
            raise Refused(
                "say whose dialogues: with a peer, of a domain, or of an id; 0.0.0.0/0 and ::/0 are all peers"
            )
        if request.lines < 0 or not 0.0 <= request.seconds <= LONGEST_TRACE:
            raise Refused(f"lines, and seconds up to {LONGEST_TRACE:.0f}, are counted from 0, for no bound")
        if request.peer:
            _peer(request.peer)
        try:
            return self._dialogues.watch(Interest(request.peer, request.domain, request.id))
        except ValueError as error:
            raise Refused(f'domain: "{request.domain}" can be none: {error}') from error
        except TooManyWatches as error:
            raise Refused("as many traces run as may: end one first") from error


def _peer(text: str) -> Callable[[str], bool]:
    try:
        return peers(text)
    except ValueError as error:
        raise Refused(NO_PEER.format(text)) from error


def _cancel(timer: IDelayedCall | None) -> None:
    if timer is not None and timer.active():
        timer.cancel()


def _line(line: Overheard) -> TraceLine:
    time = datetime.fromtimestamp(line.time, UTC)
    return TraceLine(time, line.connection, line.side, line.peer, line.event, line.from_us, line.text)


def _row(live: Live) -> LiveSession:
    session = live.session
    return LiveSession(
        session=session.session_id,
        peer=session.peer,
        port=session.port,
        listener=session.listener,
        kind=session.kind,
        name=session.name,
        state=live.step,
        seconds=live.seconds,
        idle=live.idle,
        octets_in=live.octets_in,
        octets_out=live.octets_out,
        messages=live.messages,
        errors=live.errors,
        tls=session.tls,
        login=session.login,
        sender=live.sender,
        recipients=live.recipients,
    )
