"""
What a connection tells its owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from empath.deliver.connection import Connection
    from empath.deliver.handshake import Handshake


class Keeper(Protocol):
    """
    Who owns connections and is told what becomes of them.
    """

    def opened(self, connection: Connection) -> None:
        """
        The first transaction may begin, or `connection.trouble` tells why none ever will. Said once.
        """

    def secures(self, connection: Connection, handshake: Handshake) -> None:
        """
        TLS begins; a session that the handshake may resume is to be given to it now.
        """

    def worn(self, connection: Connection) -> None:
        """
        The connection can take no further transaction: idle for too long, or its session is over.
        """

    def closed(self, connection: Connection) -> None:
        """
        The connection is gone. Said once, before anything that its end means for a transaction.
        """
