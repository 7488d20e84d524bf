"""
What a client session tells the edge that feeds it, and what the edge tells it at the beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs

from empath.mail.address import Address
from empath.mail.envelope import Recipient
from empath.mail.outcome import Outcome, TransientFailure
from empath.smtp.sasl import Credentials


class State(Enum):
    """
    Where a client session is. All but READY, HANDSHAKE, CONTENT, BDAT and CLOSED wait for the reply to what they name.

    BDAT: content goes in chunks, and replies to chunks may be waited for. SPOILED: a chunk was refused, and the replies
    to those behind it are still to come.
    """

    __hash__ = object.__hash__  # members are singletons; Enum's own hashes the name in Python, at each look-up

    GREETING = "greeting"
    EHLO = "EHLO"
    HELO = "HELO"
    LHLO = "LHLO"
    STARTTLS = "STARTTLS"
    HANDSHAKE = "TLS handshake"
    AUTH = "AUTH"
    READY = "idle"
    RSET = "RSET"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "content"
    DOT = "final dot"
    BDAT = "BDAT"
    LAST = "last BDAT"
    SPOILED = "refused BDAT"
    QUIT = "QUIT"
    CLOSED = "closed"


class Trouble(Enum):
    """
    Why a session ended before its time.
    """

    REFUSED = "refused"  # a 4yz or 5yz to the greeting, EHLO, AUTH …
    TLS = "tls"  # STARTTLS refused or the handshake failed: cleartext may do on a new connection (RFC 7435)
    UNMET = "unmet"  # the host does not offer what we need (TLS, AUTH)
    CHUNKING = "chunking"  # offered, but BDAT is not known: DATA may do on a new connection
    SHUTDOWN = "shutdown"  # 421
    LOST = "lost"
    TIMEOUT = "timeout"
    GARBLED = "garbled"
    OURS = "ours"  # we gave up
    CONNECT = "connect"  # there was no connection


@attrs.frozen(slots=True)
class Terms:
    """
    How to begin a session: `name` is what we call ourselves in EHLO, `host` the server's name as outcomes tell it.

    `starttls`: use it where offered; `tls_needed`: do not go on without; `secured`: TLS began with the connection.
    `clear_auth`: credentials may go over cleartext (to loopback). `guarded`: the host's name and the certificate that
    it must show are vouched for as REQUIRETLS asks (RFC 8689 §2), so that it counts here once there is TLS.
    """

    name: str
    host: str
    starttls: bool = True
    tls_needed: bool = False
    secured: bool = False
    credentials: Credentials | None = None
    clear_auth: bool = False
    guarded: bool = False


@attrs.define(slots=True, eq=False)
class Consignment:
    """
    What one transaction carries: the envelope, and of the content its size in bytes and what it takes to carry it.
    Nobody changes it; it is not frozen, since one is made for each message and that would double its price.

    `parameters` are those of MAIL as the message has them (RET, ENVID, AUTH, MT-PRIORITY, REQUIRETLS; BODY and SIZE
    come from the content). `binary` content needs BDAT with BODY=BINARYMIME. `utf8`: the header is not ASCII and the
    sender asked for SMTPUTF8 (of the addresses the session sees it itself). `chunked`: BDAT is preferred where offered;
    then `size` is exact. `deliver_by` is what is left of BY= in seconds with its mode ("N", "R", each perhaps with
    "T"), None without (RFC 2852). A `probe` has no content: it ends with the answers to RCPT, whose outcome is Success
    where a 2yz came.
    """

    reverse_path: Address | None
    recipients: tuple[Recipient, ...]
    size: int
    eight_bit: bool
    parameters: Mapping[str, str] = attrs.field(factory=dict)
    binary: bool = False
    utf8: bool = False
    chunked: bool = False
    deliver_by: tuple[int, str] | None = None
    probe: bool = False


@attrs.frozen(slots=True)
class Ready:
    """
    The session was opened: a transaction may begin.
    """


@attrs.frozen(slots=True)
class StartTls:
    """
    Begin the TLS handshake, then call `secured` or `handshake_failed`.
    """


@attrs.frozen(slots=True)
class ContentWanted:
    """
    The server waits for the content, or for more of it: give it through `content` and `end_content`; where it goes in
    chunks (`ClientSession.chunked`), through `content` alone, as much as there is `room` for.
    """


@attrs.frozen(slots=True)
class TransactionEnded:
    """
    One transaction is over, with an outcome for each of its recipients in their order.

    `again` are the positions of those that the server deferred only because there were too many at once: they go in
    a further transaction at once (RFC 5321 §4.5.3.1.10). `unanswered` tells that the session ended before any reply
    to it: if the connection was idle before, a fresh one may do better.
    """

    outcomes: tuple[Outcome, ...]
    again: tuple[int, ...] = ()
    unanswered: bool = False


@attrs.frozen(slots=True)
class SessionEnded:
    """
    The session is of no more use; `failure` holds for whatever was to go through it. Close once QUIT is answered
    (`State.QUIT`), else at once (`State.CLOSED`).
    """

    failure: TransientFailure
    trouble: Trouble


@attrs.frozen(slots=True)
class Goodbye:
    """
    QUIT was answered, or the server went before: close.
    """


Event = Ready | StartTls | ContentWanted | TransactionEnded | SessionEnded | Goodbye
