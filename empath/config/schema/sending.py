"""
The sections below [delivery] that say what mail is signed and rewritten with, and what is made of its failures.
"""

from __future__ import annotations

from typing import Final, Literal

import attrs

from empath.config.units import HOUR, Duration, File, Secret, seconds


@attrs.frozen(slots=True)
class DkimKey:
    """
    [[delivery.dkim.keys]]: signs mail whose From is in `domain` (RFC 6376, RFC 8463); `private_key` is a PEM file, read
    again when it changes. Several keys of one domain all sign. `algorithm` is the key's own where it is not given.
    With `subdomains` mail from below the domain is signed, too, where nothing nearer has keys.
    """

    domain: str = ""
    selector: str = ""
    private_key: File = File("")
    algorithm: Literal["", "rsa-sha256", "ed25519-sha256"] = ""
    subdomains: bool = False


OVERSIGNED: Final = (
    "From",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "To",
    "Cc",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
)
SIGNED: Final = (  # RFC 6376 §5.4.1, RFC 8058 §4, and what mailbox providers and reports go by
    *OVERSIGNED,
    "Sender",
    "In-Reply-To",
    "References",
    "Content-ID",
    "Content-Description",
    "Content-Disposition",
    "Content-Language",
    "Resent-Date",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Message-ID",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Auto-Submitted",
    "Feedback-ID",
    "TLS-Report-Domain",
    "TLS-Report-Submitter",
)


@attrs.frozen(slots=True)
class Dkim:
    """
    [delivery.dkim]: signatures. `headers` are the fields that are signed where they are, `oversign` those of them that
    nobody may add another of. A signature is good for `expiration` (0: for ever).
    """

    keys: tuple[DkimKey, ...] = ()
    headers: tuple[str, ...] = SIGNED
    oversign: tuple[str, ...] = OVERSIGNED
    canonicalization: Literal["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"] = (
        "relaxed/relaxed"
    )
    expiration: Duration = seconds(0)


@attrs.frozen(slots=True)
class Srs:
    """
    [delivery.srs]: forwarded mail from outside leaves with a reverse-path in `domain`, made with `secret` (Sender
    Rewriting Scheme); off until both are set. `previous` are older secrets that are still understood.
    """

    domain: str = ""
    secret: Secret = attrs.field(default=Secret(""), repr=False)
    previous: tuple[Secret, ...] = attrs.field(default=(), repr=False)


@attrs.frozen(slots=True)
class Verp:
    """
    [delivery.verp]: mail of our own side leaves with a reverse-path that names its recipient (variable envelope return
    path), so that a bounce that comes later tells whom it is about. `domains` are the senders' domains for which that
    is done, all of [relay] domains when empty; `secret` keeps others from making such addresses.
    """

    enabled: bool = False
    secret: Secret = attrs.field(default=Secret(""), repr=False)
    domains: tuple[str, ...] = ()
    delimiter: str = "+"


@attrs.frozen(slots=True)
class Feedback:
    """
    [delivery.feedback]: complaints about our mail (ARF, RFC 5965) are read where they come to one of `addresses`.
    """

    addresses: tuple[str, ...] = ()


BounceCategory = Literal[
    "bad-mailbox",
    "bad-domain",
    "inactive-mailbox",
    "quota",
    "blocked",
    "spam",
    "policy",
    "authentication",
    "content",
    "message-size",
    "rate",
    "dns",
    "connection",
    "tls",
    "protocol",
    "relaying",
    "loop",
    "expired",
    "virus",
    "other",
]


@attrs.frozen(slots=True)
class BouncePattern:
    """
    [[delivery.bounces.patterns]]: a failure whose reply (as logged, "550 5.1.1 no such user") matches the regular
    expression belongs to `category`.
    """

    match: str = ""
    category: BounceCategory = "other"


@attrs.frozen(slots=True)
class Bounces:
    """
    [delivery.bounces]: how failures are classified; `patterns` are looked at before what we know.
    """

    patterns: tuple[BouncePattern, ...] = ()


@attrs.frozen(slots=True)
class Suppression:
    """
    [delivery.suppression]: addresses that failed for good in one of `categories`, or complained, get no more mail, for
    `duration` (0: until they are taken off the list).
    """

    enabled: bool = False
    categories: tuple[BounceCategory, ...] = ("bad-mailbox", "bad-domain", "inactive-mailbox")
    complaints: bool = True
    duration: Duration = seconds(0)


@attrs.frozen(slots=True)
class SenderBreaker:
    """
    [delivery.sender_breaker]: a login (or, where nobody logs in, a sender's address of trusted mail) of which in
    `window` at least `min_recipients` came to an end, and `max_failure_ratio` of them failed for good, or which sent to
    more than `max_recipients` (0: no limit), is stopped: its mail is held, and no more is taken, until it is released.
    """

    enabled: bool = False
    window: Duration = seconds(HOUR)
    min_recipients: int = 50
    max_failure_ratio: float = 0.5
    max_recipients: int = 0
    exempt: tuple[str, ...] = ()
