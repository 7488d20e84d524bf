"""
The session and the transaction as the checks and modules that judge them see them.
"""

from __future__ import annotations

import attrs

from empath.mail.address import Address
from empath.mail.envelope import Recipient


@attrs.define(slots=True, eq=False)
class Session:
    """
    One client's connection, from its first byte to its last.

    `peer` is the client's IP address as text (IPv4-mapped IPv6 as IPv4), or "unix". `name` is what it called itself
    in EHLO or HELO, "" before. `protocol` is what `Received` says after `with` ("SMTP", "ESMTP", "ESMTPS" …, RFC 3848).
    `tls` is the protocol's version ("TLSv1.3"), `cipher` its suite, `tls_client_subject` the subject of a client
    certificate that was verified; all "" without. `login` is "" until AUTH. `trusted` means that relay is allowed by
    network or login. `metadata` is copied into each transaction at MAIL.
    """

    session_id: str
    peer: str
    port: int
    listener: str
    kind: str
    opened: float
    name: str = ""
    protocol: str = "SMTP"
    tls: str = ""
    cipher: str = ""
    tls_client_subject: str = ""
    login: str = ""
    trusted: bool = False
    metadata: dict[str, str] = attrs.field(factory=dict)


@attrs.define(slots=True, eq=False)
class Transaction:
    """
    One mail transaction (MAIL to the end of data); it dies with RSET, and becomes a message at the final dot.

    `declared_size` is what SIZE= promised in bytes, 0 without it. `parameters` are those of MAIL that count: what an
    untrusted client asks for and does not get (priority, later release) is not among them. `release` is when delivery
    may begin, in seconds since the epoch, 0.0 for at once (RFC 4865). `priority` is from -9 to 9 (RFC 6710).
    """

    queue_id: str
    started: float
    reverse_path: Address | None
    parameters: dict[str, str]
    recipients: list[Recipient] = attrs.field(factory=list)
    metadata: dict[str, str] = attrs.field(factory=dict)
    declared_size: int = 0
    release: float = 0.0
    priority: int = 0
