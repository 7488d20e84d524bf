"""
TLS sessions that are resumed: a new connection to a server we know needs no certificate, no signature, less time.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from OpenSSL import SSL

from empath.deliver.handshake import Handshake
from empath.deliver.target import Target

LIFETIME: Final = 3600.0  # seconds since the certificate was shown; TLS 1.3 would allow seven days (RFC 8446 §4.6.1)
_REMEMBERED: Final = 1000


class Kept(NamedTuple):
    """
    A session and the context it was made in, the only one it may be resumed in; `since` a certificate was shown.
    """

    session: SSL.Session
    context: SSL.Context
    since: float


class TlsSessions:
    """
    The last session with each target. Equal targets make equal demands, and a session is kept only after its host has
    met them: what is resumed was judged as it would be now, at most `LIFETIME` ago.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Target, Kept] = OrderedDict()

    def resume(self, target: Target, handshake: Handshake, now: float) -> float:
        """
        Let a handshake with a target offer the session that was kept; the server may still ask for a full one. Tells
        when the certificate was shown: then, where one is offered, as nobody tells us whether it is resumed; else now.
        """
        kept = self._kept.get(target)
        if kept is None:
            return now
        if not 0.0 <= now - kept.since < LIFETIME:  # the clock may have been set back
            del self._kept[target]
            return now
        return kept.since if handshake.resume(kept.session, kept.context) else now

    def keep(self, target: Target, connection: SSL.Connection, since: float) -> None:
        """
        Remember the session of a connection that is ready for mail: TLS 1.3's tickets come after the handshake. `since`
        is what `resume` told.
        """
        session = connection.get_session()
        if session is None:
            return
        self._kept[target] = Kept(session, connection.get_context(), since)
        self._kept.move_to_end(target)
        if len(self._kept) > _REMEMBERED:
            self._kept.popitem(last=False)

    def forget(self, target: Target) -> None:
        """
        Offer no session next time: TLS failed, perhaps for what was offered.
        """
        self._kept.pop(target, None)
