"""
Verifiers that cost little, and threads that the test holds.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

import bcrypt
from argon2 import PasswordHasher
from passlib.hash import sha512_crypt
from twisted.internet.defer import Deferred, execute

from empath.smtp.scram import make_verifier, print_verifier

CHEAP: Final = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def argon2(password: str) -> str:
    """
    Make a weak argon2 verifier.
    """
    return CHEAP.hash(password)


def bcrypted(password: str) -> str:
    """
    Make a weak bcrypt verifier.
    """
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def sha512(password: str) -> str:
    """
    Make a weak sha512-crypt verifier.
    """
    return str(sha512_crypt.using(rounds=1000).hash(password))


def scram(password: str, iterations: int = 4096) -> str:
    """
    Make a weak SCRAM verifier.
    """
    return print_verifier(make_verifier(password, b"sixteen octets..", iterations))


def b64(octets: int) -> str:
    """
    Give base64 without padding.
    """
    return b64encode(bytes(octets)).decode().rstrip("=")


def at_once(call: Callable[[], Any]) -> Deferred[Any]:
    """
    Run a blocking call here and now.
    """
    return execute(call)


class Threads:
    """
    Threads that run when the test says so.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def __call__(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        Take a call.
        """
        result: Deferred[Any] = Deferred()
        self.waiting.append((call, result))
        return result

    def run(self) -> None:
        """
        Run the call that waits for longest.
        """
        call, result = self.waiting.pop(0)
        execute(call).chainDeferred(result)
