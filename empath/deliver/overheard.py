"""
What is told of a connection to whoever overhears it, or traces it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from empath.net.dialogues import Dialogues
from empath.net.overhearing import Overhearing
from empath.net.taps import taps_of, together
from empath.smtp.client_events import Event, SessionEnded
from empath.smtp.tap import Tap

if TYPE_CHECKING:
    from empath.deliver.cargo import Cargo
    from empath.deliver.connection import Connection
    from empath.deliver.target import Target


def overhear(connection: Connection, dialogues: Dialogues, cargo: Cargo | None = None) -> None:
    """
    Let whoever watches overhear a connection from now on; nobody, if nobody does. One that is still to be made is made
    for a `cargo`.
    """
    session, message = connection.session, connection.message
    recording, watched = taps_of(session.tap)
    if not dialogues.watches:
        session.tap = recording
    elif watched is None:
        tap = Overhearing(dialogues, dialogues.next_name(), "client", password=session.password)
        session.tap = together(recording, tap)
        if cargo is not None:
            tell_carried(tap, cargo)
        elif message is not None:
            tap.carries(message.queue_id, {each.address.domain for each in message.envelope.recipients})
        if connection.connected:
            tell_opened(connection)


def tell_carried(tap: Tap, cargo: Cargo) -> None:
    """
    Tell whose mail a connection carries next.
    """
    domains = {each.address.domain for each in cargo.recipients}
    tap.carries(cargo.message.queue_id, {cargo.domain, *domains})


def tell_opened(connection: Connection) -> None:
    """
    Tell where a connection leads to.
    """
    if connection.trace is not None:
        connection.trace.connected(connection)
    tap, target = connection.session.tap, connection.target
    if tap is not None and target is not None:
        used = f", used {connection.carried} times" if connection.carried else ""
        source = f" from {connection.source}" if connection.source else ""
        tap.opened(target.address, f"to {_named(connection, target)}{source}{used}")


def tell_unreachable(connection: Connection, target: Target, why: str) -> None:
    """
    Tell that an address could not be reached.
    """
    tap = connection.session.tap
    if tap is not None:
        tap.opened(target.address, f"to {_named(connection, target)}")
        tap.closed(f"cannot connect: {why}")


def tell_secured(connection: Connection) -> None:
    """
    Tell by what TLS protects a connection, and what the server's certificate is worth.
    """
    if connection.trace is not None:
        connection.trace.secured(connection)
    tap = connection.session.tap
    if tap is not None:
        tap.secured(f"{connection.tls} {connection.cipher}, {connection.security}")


def tell_closed(connection: Connection, events: Sequence[Event]) -> None:
    """
    Tell why a connection is over.
    """
    tap = connection.session.tap
    if tap is not None:
        ended = next((event for event in events if isinstance(event, SessionEnded)), connection.trouble)
        tap.closed("done" if ended is None else str(ended.failure.reply))


def _named(connection: Connection, target: Target) -> str:
    host = connection.session.host
    return target.place if host == target.address else f"{host}{target.place}"
