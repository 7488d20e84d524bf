"""
The timing record of one attempt at a delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from empath.mail.message import RecipientState
from empath.mail.outcome import Outcome
from empath.mail.step import Steps


@attrs.define(slots=True)
class Attempt:
    """
    The timing record of one attempt: one pass over a destination's hosts (hot-path rule P4).

    Times are the clock's seconds, 0.0 for a step that did not happen. `host` and `address` are the last ones tried
    (`host` "" where none was), `reused` tells that an idle connection served. `site` is the name of the destination's
    site. `security` tells what vouched for the host: "dane", "mta-sts", "verified", "encrypted" (TLS, certificate not
    judged), "" for cleartext. `results`, once it is settled, are the recipients that it dealt with, as they now stand,
    and `doubtful` is how many of them the host may have taken without saying so.

    `keep`, where it is not None, takes the outcomes so far of the open recipients, None for those without one yet: an
    agent that has more to do calls it now and then, so that a crash does not repeat what is done. `steps`, where it is
    not None, takes what the attempt does step by step, as it is traced. `ids` are those of its trace and
    of its span, None while nothing is traced.
    """

    number: int
    started: float
    resolved: float = 0.0
    connected: float = 0.0
    secured: float = 0.0
    sent: float = 0.0
    ended: float = 0.0
    host: str = ""
    address: str = ""
    port: int = 0
    tls: str = ""
    cipher: str = ""
    reused: bool = False
    site: str = ""
    security: str = ""
    results: tuple[RecipientState, ...] = ()
    doubtful: int = 0
    keep: Callable[[Sequence[Outcome | None]], None] | None = None
    steps: Steps | None = None
    ids: tuple[str, str] | None = None
