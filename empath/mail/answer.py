"""
What the DNS said.
"""

from __future__ import annotations

from enum import Enum

import attrs


class Found(Enum):
    """
    How a look-up ended.
    """

    RECORDS = "records"  # there is at least one record
    NO_DATA = "no-data"  # the name exists, records of this type do not (RFC 2308 §2.2)
    NO_NAME = "no-name"  # NXDOMAIN
    FAILED = "failed"  # time-out, SERVFAIL, REFUSED, a broken answer: nothing is known (transient)


@attrs.frozen(slots=True)
class MxRecord:
    """
    One MX record; `host` is in lower case without the final dot, "" for the null MX (RFC 7505).
    """

    preference: int
    host: str


@attrs.frozen(slots=True)
class Answer:
    """
    The answer to one question. `mx` is filled for type MX, `addresses` (texts such as "192.0.2.1") for A and AAAA,
    `texts` for TXT (whatever somebody wrote into the DNS, control characters included) and for PTR (those names that
    can be host names, in lower case without the final dot).

    `expires` is in seconds of the resolver's clock. `secure` tells that DNSSEC vouches for it. `detail` says, for
    FAILED, what went wrong in words for a log.
    """

    name: str
    rdtype: str
    found: Found
    mx: tuple[MxRecord, ...] = ()
    addresses: tuple[str, ...] = ()
    expires: float = 0.0
    secure: bool = False
    detail: str = ""
    texts: tuple[str, ...] = ()
