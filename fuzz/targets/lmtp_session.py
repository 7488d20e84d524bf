"""
The client's half of an LMTP session (RFC 2033), as `client_session` does it for SMTP: each recipient has one verdict,
their own.
"""

from __future__ import annotations

from typing import ClassVar, Final

from empath.smtp.client import ClientSession
from empath.smtp.client_lmtp import LmtpSession
from fuzz.targets.client_session import Play, play_all
from fuzz.tokens import REPLIES

TOKENS: Final = REPLIES


class LmtpPlay(Play):
    """
    One session and all that became of it.
    """

    kind: ClassVar[type[ClientSession]] = LmtpSession

    def _check_promise(self, output: bytes) -> None:
        """
        Nothing but LHLO begins a session; REQUIRETLS is asked of nobody who does not offer it.
        """
        assert b"EHLO" not in output, f"wrote {output!r}"
        assert b"HELO" not in output, f"wrote {output!r}"
        assert b" REQUIRETLS" not in output or self.session.offer.require_tls, f"wrote {output!r}"


def one_input(data: bytes) -> None:
    """
    Play one server in several divisions.
    """
    play_all(LmtpPlay, data)
