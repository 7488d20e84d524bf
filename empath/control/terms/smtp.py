"""
About SMTP as it is spoken now.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import attrs

from empath.control.terms.asking import Ask, Follow


@attrs.frozen
class LiveSession:
    """
    A client that is connected: `seconds` since it came, `idle` since the dialogue last moved (half a command moves
    nothing), octets both ways within TLS, messages taken, `errors` since then that count against the limit, and of the
    transaction it is in the sender and how many recipients.

    `state` is "greeting" (before ours), "handshake", "connected" (before EHLO), "greeted", "login", "mail",
    "recipients", "content", "deciding" (a command waits for our answer), "storing" (a message does), or "closing".
    """

    session: str
    peer: str
    port: int
    listener: str
    kind: str
    name: str
    state: str
    seconds: float
    idle: float
    octets_in: int
    octets_out: int
    messages: int
    errors: int
    tls: str = ""
    login: str = ""
    sender: str = ""
    recipients: int = 0


@attrs.frozen
class SessionPage:
    """
    Some of the sessions, in the order in which they came; `after` as in `QueuePage`.
    """

    sessions: tuple[LiveSession, ...]
    after: str


@attrs.frozen
class ListSessions(Ask[SessionPage]):
    """
    List live sessions.
    """

    verb: ClassVar = "smtp.connections"
    answer: ClassVar = SessionPage

    peer: str = ""
    limit: int = 100
    after: str = ""


@attrs.frozen
class Killed:
    """
    The sessions that were ended.
    """

    sessions: tuple[str, ...]


@attrs.frozen
class KillSession(Ask[Killed]):
    """
    End sessions, by the id of one or the address of a peer: with 421 where the dialogue allows it, now in any case.
    """

    verb: ClassVar = "smtp.kill"
    answer: ClassVar = Killed
    changes: ClassVar = True

    session: str = ""
    peer: str = ""


@attrs.frozen
class TraceLine:
    """
    One line of a dialogue: `connection` names it, `side` is "server" where we are the server and "client" where we are
    the client, `from_us` who said it. Secrets are masked, content is told as its size. `event` is "opened", "line",
    "tls", "closed", or "missed" where lines were left out because nobody read fast enough; that of the first, "began",
    says that everything is followed from then on, and is of no connection.
    """

    time: datetime
    connection: str
    side: str
    peer: str
    event: str
    from_us: bool
    text: str


@attrs.frozen
class TraceEnd:
    """
    How many lines were told after "began", and how many were left out because nobody read fast enough.
    """

    lines: int
    dropped: int


@attrs.frozen
class FollowDialogues(Follow[TraceEnd, TraceLine]):
    """
    Follow dialogues from now on: with a peer (address, network, "unix", or a UNIX socket's path), that name a domain
    (deliveries to it; sessions from the MAIL or RCPT on that names it), or of a connection's id or a message's queue id
    (its reception, all its attempts). What is given has to hold together. Ends after `lines` lines or `seconds`, 0 for
    no bound.
    """

    verb: ClassVar = "smtp.trace"
    answer: ClassVar = TraceEnd
    piece: ClassVar = TraceLine

    peer: str = ""
    domain: str = ""
    id: str = ""
    lines: int = 0
    seconds: float = 0.0
