"""
XCLIENT: the session that a listed proxy presents (Postfix's XCLIENT_README).
"""

from __future__ import annotations

from typing import Final

from empath.mail.session import Session
from empath.receive.sessions import ClientKey, peer_of

NOWHERE: Final = "0.0.0.0"  # a client whose address is not known


def presented(old: Session, client: ClientKey, values: dict[str, str | None]) -> tuple[Session, ClientKey]:
    """
    Make the session that `values` tell of, and the key its client is counted by. Where address or port are not told
    they stay as they were. Who may relay is not decided here: nobody is trusted.

    A name is not verified by anyone here: it becomes no more than the metadata `client_name`.
    """
    peer, port = old.peer, old.port
    if "ADDR" in values:
        peer, client = peer_of(values["ADDR"] or NOWHERE)
        port = 0
    if "PORT" in values:
        port = int(values["PORT"] or 0)
    metadata = dict(old.metadata)
    if "NAME" in values:
        metadata.pop("client_name", None)
        if values["NAME"]:
            metadata["client_name"] = values["NAME"]
    session = Session(
        old.session_id,
        peer,
        port,
        old.listener,
        old.kind,
        old.opened,
        name=_told(values, "HELO", ""),
        protocol=_told(values, "PROTO", "SMTP"),
        tls=old.tls,
        cipher=old.cipher,
        tls_client_subject=old.tls_client_subject,
        login=_told(values, "LOGIN", ""),
        metadata=metadata,
    )
    return session, client


def _told(values: dict[str, str | None], attribute: str, otherwise: str) -> str:
    return values.get(attribute) or otherwise
