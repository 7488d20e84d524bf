"""
What a session's TLS came to, as reports to the domains count it (RFC 8460 §4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from empath.deliver.connection import Connection
from empath.mail.life import TlsTried
from empath.policy.mx import Candidate
from empath.policy.tls import Policy
from empath.smtp.client_events import SessionEnded, Trouble

Tell = Callable[[TlsTried], None]

NOT_OFFERED: Final = "the host does not offer STARTTLS"

_UNMET: Final = "4.7.4"


def tried(domain: str, candidate: Candidate, connection: Connection) -> TlsTried | None:
    """
    Tell how a new connection's TLS ended; None where it did not come to that.
    """
    assurance = candidate.assurance
    result = _result(connection, assurance.demand.policy)
    if result is None:
        return None
    result = result if result[0] else assurance.remark
    address = candidate.address if connection.target is None else connection.target.address
    return told(domain, candidate, address, connection.source, *result)


def barred(domain: str, candidate: Candidate) -> TlsTried | None:
    """
    Tell of a host that is not tried at all; None where reports have no word for the reason.
    """
    why = candidate.assurance.barred
    if why is None or not why.result:
        return None
    return told(domain, candidate, candidate.address, "", why.result, " ".join(why.failure.reply.lines))


def told(domain: str, candidate: Candidate, address: str, source: str, result: str, reason: str) -> TlsTried:
    """
    Put together what reports need.
    """
    basis = candidate.assurance.basis
    return TlsTried(domain, basis.policy, basis.lines, basis.patterns, candidate.host, address, source, result, reason)


def _result(connection: Connection, policy: Policy) -> tuple[str, str] | None:
    """
    Tell the type of failure with its reason, both "" for success, None where nothing is known of TLS.
    """
    trouble, rejection = connection.trouble, connection.rejection
    if rejection is not None:
        return rejection.result, rejection.reason
    if trouble is None:
        if connection.tls:
            return "", ""
        return None if policy is Policy.DISABLED else ("starttls-not-supported", NOT_OFFERED)
    if trouble.trouble is Trouble.TLS:
        return "validation-failure", " ".join(trouble.failure.reply.lines)
    return ("starttls-not-supported", NOT_OFFERED) if not_offered(trouble) else None


def not_offered(trouble: SessionEnded) -> bool:
    """
    Tell whether a session ended since TLS is needed and the host does not offer it.
    """
    return trouble.trouble is Trouble.UNMET and trouble.failure.reply.enhanced == _UNMET
