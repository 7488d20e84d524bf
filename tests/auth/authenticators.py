"""
What an operator's dotted name may lead to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from typing import NoReturn

from twisted.internet.defer import succeed
from zope.interface import implementer

from empath.interfaces import IAuthenticator
from empath.smtp.scram import ScramVerifier

NUMBER = 7


@implementer(IAuthenticator)
class Tokens:
    """
    Knows one token.
    """

    def mechanisms(self) -> Collection[str]:
        """
        Tokens only.
        """
        return ("OAUTHBEARER",)

    def check_password(self, login: str, password: str) -> Awaitable[str | None]:
        """
        Nobody has one.
        """
        return succeed(None)

    def check_token(self, login: str, token: str) -> Awaitable[str | None]:
        """
        Let in who says it.
        """
        return succeed(login if token == "token" else None)

    def scram_verifier(self, login: str) -> ScramVerifier:
        """
        Nobody has one.
        """
        return ScramVerifier(b"salt", 4096, bytes(32), bytes(32))

    @classmethod
    def usual(cls) -> Tokens:
        """
        Make one.
        """
        return cls()


class Nothing:
    """
    Provides nothing.
    """


def failing() -> NoReturn:
    """
    Cannot be made.
    """
    raise KeyError("DIRECTORY_URL")
