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
        metadata=_metadata(old, values),
    )
    return session, client


def _told(values: dict[str, str | None], attribute: str, otherwise: str) -> str:
    return values.get(attribute) or otherwise


def _metadata(old: Session, values: dict[str, str | None]) -> dict[str, str]:
    if "NAME" not in values:
        return dict(old.metadata)
    kept = {key: value for key, value in old.metadata.items() if key != "client_name"}
    return {**kept, "client_name": values["NAME"]} if values["NAME"] else kept
