"""
What is asked about addresses that get no mail and senders that are stopped, and done about them.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime

from empath.control.serving import Answers, Call, Refused
from empath.control.terms.safety import (
    Changed,
    ListStopped,
    ListSuppressed,
    ReleaseSender,
    StoppedRow,
    StoppedSenders,
    StopSender,
    Suppress,
    SuppressedPage,
    SuppressedRow,
    Unsuppress,
)
from empath.errors import StorageError
from empath.mail.address import Address, parse_address
from empath.queue.sender_notes import StoppedSender
from empath.queue.senders import Senders
from empath.report.suppression import Suppressed, Suppression
from empath.service.control.paging import bounded, cursor, moment, place_of
from empath.service.control.patience import within

PATIENCE: Final = 5.0  # seconds for which a sender's mail is waited for; it is held, or let go, all the same
LONGEST: Final = 500  # characters of a reason


class SafetyControl:
    """
    Answers for the suppression list and the senders.
    """

    def __init__(self, suppression: Suppression, senders: Senders, clock: IReactorTime) -> None:
        self._suppression = suppression
        self._senders = senders
        self._clock = clock

    def answers(self) -> Answers:
        """
        Give what can be asked.
        """
        return {
            ListSuppressed: self._list,
            Suppress: self._suppress,
            Unsuppress: self._unsuppress,
            ListStopped: self._stopped,
            StopSender: self._stop,
            ReleaseSender: self._release,
        }

    # -- the suppression list

    async def _list(self, request: ListSuppressed, call: Call) -> SuppressedPage:
        limit = bounded(request.limit)
        (after,) = place_of(request.after, 1)
        try:
            found = await self._suppression.entries(after, limit + 1)
        except StorageError as error:
            raise Refused(f"the list cannot be read: {error}") from error
        rows = tuple([_row(each) for each in found[:limit]])
        return SuppressedPage(
            rows, cursor((rows[-1].address,) if len(found) > limit else None), self._suppression.enabled
        )

    async def _suppress(self, request: Suppress, call: Call) -> Changed:
        address = _address(request.address)
        why = (request.why or "operator")[:LONGEST]
        try:
            changed = await self._suppression.add(address, why, f"by {call.caller}")
        except StorageError as error:
            raise Refused(f"it could not be stored, and nothing is changed: {error}") from error
        return Changed(changed, self._suppression.enabled)

    async def _unsuppress(self, request: Unsuppress, call: Call) -> Changed:
        try:
            changed = await self._suppression.remove(_address(request.address), f"by {call.caller}")
        except StorageError as error:
            raise Refused(f"it could not be stored, and nothing is changed: {error}") from error
        return Changed(changed, self._suppression.enabled)

    # -- senders

    def _stopped(self, request: ListStopped, call: Call) -> StoppedSenders:
        return self._all()

    async def _stop(self, request: StopSender, call: Call) -> StoppedSenders:
        why = request.why or "an operator stopped it"
        return self._all(await self._begun(self._senders.stop(request.sender, f"{why} ({call.caller})")))

    async def _release(self, request: ReleaseSender, call: Call) -> StoppedSenders:
        return self._all(await self._begun(self._senders.release(request.sender, f"by {call.caller}")))

    async def _begun(self, work: Coroutine[Any, Any, bool]) -> bool:
        """
        Begin something, and wait a while for its end; what takes longer goes on without us.
        """
        try:
            changed = await within(self._clock, PATIENCE, work)
        except ValueError as error:
            raise Refused(f"sender: {error}") from error
        return changed is not False

    def _all(self, changed: bool = False) -> StoppedSenders:
        stopped = self._senders.stopped()
        rows = [StoppedRow(each.sender, moment(each.since), each.detail, _state(each)) for each in stopped]
        return StoppedSenders(tuple(rows), changed)


def _state(stopped: StoppedSender) -> str:
    if stopped.released:
        return "releasing"
    return "stopped" if stopped.held else "stopping"


def _row(entry: Suppressed) -> SuppressedRow:
    return SuppressedRow(entry.address, entry.why, moment(entry.at or None), entry.detail)


def _address(text: str) -> Address:
    try:
        return parse_address(text, utf8=True)
    except ValueError as error:
        raise Refused(f"address: {error}") from error
