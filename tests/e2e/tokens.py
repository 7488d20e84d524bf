"""
An authenticator of somebody else's, as the configuration names it: one login, with a password or a bearer token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from empath.interfaces import IAuthenticator
from empath.smtp.scram import ScramVerifier

LOGIN = "robot@origin.test"
TOKEN = "ya29.a0AfH6SMBx"
PASSWORD = "s3cret words"


@implementer(IAuthenticator)
class Tokens:
    """
    Knows LOGIN, PASSWORD and TOKEN.
    """

    def mechanisms(self) -> Collection[str]:
        """
        Everything but SCRAM.
        """
        return ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER")

    def check_password(self, login: str, password: str) -> Deferred[str | None]:
        """
        Compare.
        """
        return succeed(LOGIN if (login, password) == (LOGIN, PASSWORD) else None)

    def check_token(self, login: str, token: str) -> Deferred[str | None]:
        """
        Compare; a token without a login is LOGIN's.
        """
        return succeed(LOGIN if login in ("", LOGIN) and token == TOKEN else None)

    def scram_verifier(self, login: str) -> ScramVerifier:
        """
        Nothing fulfils it.
        """
        nothing = hashlib.sha256(login.encode()).digest()
        return ScramVerifier(salt=nothing[:16], iterations=4096, stored_key=nothing, server_key=nothing)


def authenticator() -> Tokens:
    """
    Make it; the configuration names this function.
    """
    return Tokens()
