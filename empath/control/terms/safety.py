"""
About addresses and senders whose mail is stopped.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import attrs

from empath.control.terms.asking import Ask


@attrs.frozen
class SuppressedRow:
    """
    An address that gets no mail of ours, why, since when, and the reply that it came from, "" without one.
    """

    address: str
    why: str
    since: datetime | None
    detail: str = ""


@attrs.frozen
class SuppressedPage:
    """
    Some of them; `after` as in `QueuePage`. `in_use` is false where the configuration has the list switched off.
    """

    addresses: tuple[SuppressedRow, ...]
    after: str
    in_use: bool = True


@attrs.frozen
class ListSuppressed(Ask[SuppressedPage]):
    """
    List the suppressed addresses.
    """

    verb: ClassVar = "suppression.list"
    answer: ClassVar = SuppressedPage

    limit: int = 100
    after: str = ""


@attrs.frozen
class Changed:
    """
    Whether it was otherwise before; `in_use` as in `SuppressedPage`.
    """

    changed: bool
    in_use: bool = True


@attrs.frozen
class Suppress(Ask[Changed]):
    """
    Send an address no more mail.
    """

    verb: ClassVar = "suppression.add"
    answer: ClassVar = Changed
    changes: ClassVar = True

    address: str
    why: str = ""


@attrs.frozen
class Unsuppress(Ask[Changed]):
    """
    Send it mail again.
    """

    verb: ClassVar = "suppression.remove"
    answer: ClassVar = Changed
    changes: ClassVar = True

    address: str


@attrs.frozen
class StoppedRow:
    """
    A login or sender whose mail is held and refused. `state` is "stopped", "stopping" while its mail is still being
    held, "releasing" while that is being let go.
    """

    sender: str
    since: datetime | None
    detail: str
    state: str = "stopped"


@attrs.frozen
class StoppedSenders:
    """
    All of them.
    """

    senders: tuple[StoppedRow, ...]
    changed: bool = False


@attrs.frozen
class ListStopped(Ask[StoppedSenders]):
    """
    List the senders that are stopped.
    """

    verb: ClassVar = "senders.list"
    answer: ClassVar = StoppedSenders


@attrs.frozen
class StopSender(Ask[StoppedSenders]):
    """
    Hold and refuse the mail of a login or sender.
    """

    verb: ClassVar = "senders.stop"
    answer: ClassVar = StoppedSenders
    changes: ClassVar = True

    sender: str
    why: str = ""


@attrs.frozen
class ReleaseSender(Ask[StoppedSenders]):
    """
    Let it go on, with the mail that was held.
    """

    verb: ClassVar = "senders.release"
    answer: ClassVar = StoppedSenders
    changes: ClassVar = True

    sender: str
