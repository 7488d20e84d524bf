"""
Receptions that are traced: what their sessions say is recorded, from MAIL to the end of the transaction.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from empath.mail.address import Address
from empath.mail.session import Transaction
from empath.mail.step import Steps
from empath.net.recording import Recording
from empath.net.taps import taps_of, together
from empath.smtp.events import MailFrom
from empath.smtp.server import ServerSession


def record(smtp: ServerSession, transaction: Transaction, event: MailFrom, clock: IReactorTime, lmtp: bool) -> None:
    """
    Have a session that begins a transaction recorded in the transaction's steps, beside who watches it; not at all
    where there are none.
    """
    steps, (_, watched) = transaction.steps, taps_of(smtp.tap)
    recording = None
    if steps is not None:
        recording = Recording(clock, steps, "server", joined=True, unanswered=smtp.unsent, lmtp=lmtp)
        recording.heard(_line(event.reverse_path, event.parameters))
    smtp.tap = tap = together(recording, watched)
    if tap is not None:
        tap.carries(transaction.queue_id, ())


def finish(smtp: ServerSession) -> None:
    """
    Record no more than the replies that are still to come.
    """
    recording, _ = taps_of(smtp.tap)
    if recording is not None:
        recording.finish()


def taken(transaction: Transaction, since: float = 0.0, now: float = 0.0) -> Steps | None:
    """
    Take the steps of a transaction that has become a message, so that nobody else does: it was stored from `since` to
    `now`, or discarded (0.0).
    """
    steps, transaction.steps = transaction.steps, None
    if steps is not None and now:
        steps.begin("store", since).ended = now
    return steps


def _line(path: Address | None, parameters: dict[str, str]) -> bytes:
    """
    Write MAIL as it was understood.
    """
    said = [f"{keyword}={value}" if value else keyword for keyword, value in parameters.items()]
    return " ".join([f"MAIL FROM:<{'' if path is None else path.text}>", *said]).encode() + b"\r\n"
