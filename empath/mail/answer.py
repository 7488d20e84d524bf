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


class Security(Enum):
    """
    What DNSSEC says of an answer (RFC 4033 §5), of the whole chain of aliases that led to it.
    """

    UNCHECKED = "unchecked"  # DNSSEC is off, or a trusted resolver did not vouch for it: no more than insecure
    INSECURE = "insecure"  # proved to be in a zone that is not signed
    SECURE = "secure"
    BOGUS = "bogus"  # signed, and the signatures do not hold: used only where `dnssec_enforce` is off


@attrs.frozen(slots=True)
class MxRecord:
    """
    One MX record; `host` is in lower case without the final dot, "" for the null MX (RFC 7505).
    """

    preference: int
    host: str


@attrs.frozen(slots=True)
class TlsaRecord:
    """
    One TLSA record (RFC 6698 §2.1), as it stands in the DNS, usable or not.
    """

    usage: int
    selector: int
    matching: int
    association: bytes


@attrs.frozen(slots=True)
class Answer:
    """
    The answer to one question. `mx` is filled for type MX, `addresses` (texts such as "192.0.2.1") for A and AAAA,
    `texts` for TXT (whatever somebody wrote into the DNS, control characters included) and for PTR (those names that
    can be host names, in lower case without the final dot), `tlsa` for TLSA.

    `expires` is in seconds of the resolver's clock. `security` is DNSSEC's word on it, whatever was found: `SECURE`
    denials are proven. `canonical` is the name at the end of a chain of aliases, "" where there is no alias. `stale`
    tells that it had expired and is used since no server answers. `detail` says, for FAILED, what went wrong in words
    for a log.
    """

    name: str
    rdtype: str
    found: Found
    mx: tuple[MxRecord, ...] = ()
    addresses: tuple[str, ...] = ()
    expires: float = 0.0
    security: Security = Security.UNCHECKED
    detail: str = ""
    texts: tuple[str, ...] = ()
    tlsa: tuple[TlsaRecord, ...] = ()
    canonical: str = ""
    stale: bool = False

    @property
    def secure(self) -> bool:
        """
        Whether DNSSEC vouches for it.
        """
        return self.security is Security.SECURE
