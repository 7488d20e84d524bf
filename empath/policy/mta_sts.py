"""
MTA-STS policies (RFC 8461): how they are written, and which MX hosts they allow.
"""

from __future__ import annotations

from enum import Enum

import attrs


class Mode(Enum):
    """
    What a host that falls short of the policy means (RFC 8461 §5).
    """

    ENFORCE = "enforce"  # no mail for it
    TESTING = "testing"  # mail all the same, and a report
    NONE = "none"  # no policy any more


@attrs.frozen(slots=True)
class StsPolicy:
    """
    A domain's policy: `mx` are patterns such as "mx.example.org" or "*.example.net" in lower case, `max_age` is in
    seconds, `version` the id of the TXT record that it was fetched for, `lines` the text as it was read.
    """

    mode: Mode
    mx: tuple[str, ...]
    max_age: int
    version: str = ""
    lines: tuple[str, ...] = ()

    def allows(self, host: str) -> bool:
        """
        Tell whether an MX host is one of the policy's: equal to a pattern, or one label below a "*." (§4.1).
        """
        below = host.partition(".")[2]
        return any(below == p[2:] if p.startswith("*.") else host == p for p in self.mx)
