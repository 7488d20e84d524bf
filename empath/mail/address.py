"""
Mail addresses as SMTP carries them (RFC 5321 §4.1.2, RFC 6531 §3.3).
"""

from __future__ import annotations

import attrs


@attrs.frozen(slots=True)
class Address:
    """
    A mailbox: `local` unquoted, `domain` in lower case with A-labels, `text` as it was given and is sent on.

    `domain` is "[192.0.2.1]" or "[IPv6:2001:db8::1]" for an address literal and "" only for <Postmaster>
    (RFC 5321 §4.5.1). The null reverse-path is no Address: it is None wherever a reverse-path stands.
    """

    local: str
    domain: str
    text: str

    def __str__(self) -> str:
        return self.text
