"""
What transport security a destination gets (RFC 3207, RFC 7435), and what is done where the server falls short.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

import attrs

from empath.mail.answer import TlsaRecord


class Policy(Enum):
    """
    What we ask of a destination's hosts.
    """

    __hash__ = object.__hash__  # members are singletons; Enum's own hashes the name in Python, at each look-up

    DISABLED = "disabled"  # cleartext
    OPPORTUNISTIC = "opportunistic"  # TLS where offered, any certificate; cleartext rather than no delivery
    REQUIRED = "required"  # TLS or wait; the certificate is not judged
    VERIFIED = "verified"  # TLS with a certificate that WebPKI vouches for in the host's name, or wait
    DANE = "dane"  # TLS with a certificate that the host's TLSA records vouch for, or wait (RFC 7672)


class Seen(Enum):
    """
    What a server showed.
    """

    OFFERED = "offered"  # STARTTLS in its EHLO reply
    NOT_OFFERED = "not-offered"
    FAILED = "failed"  # STARTTLS was refused, or the handshake failed


class Course(Enum):
    """
    What is done then.
    """

    STARTTLS = "starttls"
    CLEARTEXT = "cleartext"
    RECONNECT = "reconnect"  # cleartext on a new connection: the old one is in no known state
    NEXT_HOST = "next-host"  # the policy is unmet: transient (4.7.x), never cleartext


COURSES: Final[Mapping[tuple[Policy, Seen], Course]] = {
    (Policy.DISABLED, Seen.OFFERED): Course.CLEARTEXT,
    (Policy.DISABLED, Seen.NOT_OFFERED): Course.CLEARTEXT,
    (Policy.DISABLED, Seen.FAILED): Course.NEXT_HOST,  # TLS was begun nonetheless: `tls = "implicit"`
    (Policy.OPPORTUNISTIC, Seen.OFFERED): Course.STARTTLS,
    (Policy.OPPORTUNISTIC, Seen.NOT_OFFERED): Course.CLEARTEXT,
    (Policy.OPPORTUNISTIC, Seen.FAILED): Course.RECONNECT,
    (Policy.REQUIRED, Seen.OFFERED): Course.STARTTLS,
    (Policy.REQUIRED, Seen.NOT_OFFERED): Course.NEXT_HOST,
    (Policy.REQUIRED, Seen.FAILED): Course.NEXT_HOST,
    (Policy.VERIFIED, Seen.OFFERED): Course.STARTTLS,
    (Policy.VERIFIED, Seen.NOT_OFFERED): Course.NEXT_HOST,
    (Policy.VERIFIED, Seen.FAILED): Course.NEXT_HOST,
    (Policy.DANE, Seen.OFFERED): Course.STARTTLS,
    (Policy.DANE, Seen.NOT_OFFERED): Course.NEXT_HOST,
    (Policy.DANE, Seen.FAILED): Course.NEXT_HOST,
}


def course(policy: Policy, seen: Seen, *, implicit: bool = False) -> Course:
    """
    Tell what is done. With implicit TLS there is no cleartext to fall back to: the port speaks TLS only (RFC 8314).
    """
    planned = COURSES[policy, seen]
    return Course.NEXT_HOST if implicit and planned is Course.RECONNECT else planned


class Asker(Enum):
    """
    Who wants what is demanded of a host.
    """

    LOCAL = "local"  # our operator
    DANE = "dane"  # the host's TLSA records (RFC 7672)
    MTA_STS = "mta-sts"  # the destination's policy (RFC 8461)
    REQUIRETLS = "requiretls"  # the sender (RFC 8689)


@attrs.frozen(slots=True, cache_hash=True)
class Demand:
    """
    What one host must show before it gets mail; two messages share a connection only where it is the same.

    `names` are those of which the certificate must carry one: judged under VERIFIED, under DANE for usage 2, and
    otherwise only for a report (MTA-STS in testing mode), without consequence. `tlsa` are the usable records, under
    DANE. `lowered`: the operator accepts certificates that are not valid, where VERIFIED was asked for. `named`:
    somebody vouches that this is a host of the domain.
    """

    policy: Policy
    names: tuple[str, ...] = ()
    tlsa: tuple[TlsaRecord, ...] = ()
    asker: Asker = Asker.LOCAL
    lowered: bool = False
    named: bool = False

    @property
    def guarded(self) -> bool:
        """
        Whether whoever meets this is a next hop as REQUIRETLS wants it (RFC 8689 §2).
        """
        return self.named and self.judged

    @property
    def judged(self) -> bool:
        """
        Whether a certificate that falls short ends the session.
        """
        return self.policy is Policy.VERIFIED or self.policy is Policy.DANE


CLEARTEXT: Final = Demand(Policy.DISABLED)
OPPORTUNISTIC: Final = Demand(Policy.OPPORTUNISTIC)
REQUIRED: Final = Demand(Policy.REQUIRED)
LOWERED: Final = Demand(Policy.REQUIRED, lowered=True)
