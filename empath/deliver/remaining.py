"""
Which addresses of a destination are left to be tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from empath.deliver.egress import Egress
from empath.deliver.target import NO_PORT
from empath.policy.mx import Candidate

if TYPE_CHECKING:
    from empath.deliver.connection import Connection


def reachable(found: Sequence[Candidate], egress: Egress) -> Sequence[Candidate]:
    """
    Leave out what cannot be reached from where connections leave.
    """
    return [c for c in found if c.port == NO_PORT or egress.reaches(c.address)] if egress.bound else found


def address_of(candidate: Candidate, connection: Connection) -> str:
    """
    Tell which address of a host a connection leads to, or was last tried.
    """
    if connection.target is not None:
        return connection.target.address
    return connection.missed[-1] if connection.missed else candidate.address


def left_of(found: Sequence[Candidate], connection: Connection) -> Sequence[Candidate]:
    """
    Tell what is still to be tried after a connection to the first host: all but the addresses that it has settled.
    """
    first = found[0]
    settled = {address_of(first, connection), *connection.missed}
    return [c for c in found if c.host != first.host or c.port != first.port or c.address not in settled]
