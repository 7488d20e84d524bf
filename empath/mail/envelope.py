"""
The envelope of a message: who sent it, whom it is for, with what ESMTP parameters (RFC 5321 §2.3.1).
"""

from __future__ import annotations

import attrs

from empath.mail.address import Address


@attrs.frozen(slots=True)
class Recipient:
    """
    A forward-path with the ESMTP parameters of its RCPT command, keywords in upper case ("" for a bare keyword).
    """

    address: Address
    parameters: dict[str, str] = attrs.field(factory=dict)


@attrs.frozen(slots=True)
class Envelope:
    """
    The reverse-path (None: null), the recipients in the order given, and the ESMTP parameters of the MAIL command; of a
    message that was accepted also what its header says of TLS (`empath.mail.wish.noted`).
    """

    reverse_path: Address | None
    recipients: tuple[Recipient, ...]
    parameters: dict[str, str] = attrs.field(factory=dict)
