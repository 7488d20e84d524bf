"""
How a message came to us, as it is kept with the message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from empath.mail.session import Session


@attrs.frozen(slots=True)
class Arrival:
    """
    The session in which a message was handed in; the fields are those of `Session`.
    """

    session_id: str
    peer: str
    port: int
    listener: str
    name: str
    protocol: str
    tls: str = ""
    cipher: str = ""
    login: str = ""


def arrival_of(session: Session) -> Arrival:
    """
    Tell what is kept of a session.
    """
    return Arrival(
        session.session_id,
        session.peer,
        session.port,
        session.listener,
        session.name,
        session.protocol,
        session.tls,
        session.cipher,
        session.login,
    )
