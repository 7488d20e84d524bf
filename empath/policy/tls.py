"""
What transport security a destination gets (RFC 3207, RFC 7435), and what is done where the server falls short.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Policy(Enum):
    """
    What we ask of a destination's hosts.
    """

    DISABLED = "disabled"  # cleartext
    OPPORTUNISTIC = "opportunistic"  # TLS where offered, any certificate; cleartext rather than no delivery
    REQUIRED = "required"  # TLS or wait; the certificate is not judged
    VERIFIED = "verified"  # TLS with a certificate that WebPKI vouches for in the host's name, or wait


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
}


def course(policy: Policy, seen: Seen, *, implicit: bool = False) -> Course:
    """
    Tell what is done. With implicit TLS there is no cleartext to fall back to: the port speaks TLS only (RFC 8314).
    """
    planned = COURSES[policy, seen]
    return Course.NEXT_HOST if implicit and planned is Course.RECONNECT else planned
