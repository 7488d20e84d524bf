"""
The password file: "name:verifier" a line, and what it says about all users together.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping
from typing import Final

import attrs

from empath.auth.hashes import Verifier, read_verifier
from empath.errors import ConfigError
from empath.policy.entries import entries
from empath.smtp.sasl_server_steps import prepared_login
from empath.smtp.scram import MIN_ITERATIONS, ScramVerifier

_KEYS: Final = 2


@attrs.frozen(slots=True)
class Users:
    """
    Who may log in. `usual` is one of the verifiers that cost what most cost: a login that does not exist is checked
    against it, and takes as long; None where there are no users.
    """

    verifiers: Mapping[str, Verifier] = attrs.field(repr=False)
    usual: Verifier | None
    secret: bytes = attrs.field(repr=False)

    def all_scram(self) -> bool:
        """
        Tell whether every user can use SCRAM; not true of nobody.
        """
        return bool(self.verifiers) and all(verifier.scram for verifier in self.verifiers.values())

    def scram(self, login: str) -> ScramVerifier:
        """
        Give the verifier of a login; of an unknown one that no password fulfils, the same on every call and after a
        restart, so that nobody can tell them apart (RFC 5802 §9).
        """
        like = self.usual.scram if self.usual is not None else None
        iterations, length = (like.iterations, len(like.salt)) if like is not None else (MIN_ITERATIONS, 16)
        made = hashlib.shake_256(hmac.digest(self.secret, login.encode(), "sha256")).digest(length + 64)
        nobody = ScramVerifier(made[64:], iterations, made[:32], made[32:64])
        found = self.verifiers.get(login)
        return found.scram if found is not None and found.scram is not None else nobody


def read_users(text: str, origin: str) -> Users:
    """
    Read a password file; "#" begins a comment. ConfigError names every wrong line, `origin` first.
    """
    verifiers: dict[str, Verifier] = {}
    problems: list[str] = []
    for number, entry in entries(text):
        try:
            name, verifier = _read_line(entry)
            if name in verifiers:
                raise ValueError(f"{name} has a line already (letter case does not count)")
        except ValueError as error:
            problems.append(f"{origin}: line {number}: {error}")
        else:
            verifiers[name] = verifier
    if problems:
        raise ConfigError(problems)
    return Users(verifiers, _usual(verifiers), _secret(verifiers))


def _read_line(entry: str) -> tuple[str, Verifier]:
    """
    Read one line, which is not empty.
    """
    name, colon, verifier = entry.partition(":")
    if not colon:
        raise ValueError("no name:verifier")
    try:
        login = prepared_login(name.strip().encode())
    except ValueError as error:
        raise ValueError(f"no login name: {error}") from error
    return login, read_verifier(verifier.strip())


def _usual(verifiers: Mapping[str, Verifier]) -> Verifier | None:
    """
    Find a verifier of the cost that most have.
    """
    if not verifiers:
        return None
    costs = Counter((verifier.kind, verifier.cost) for verifier in verifiers.values())
    (most, _), *_ = costs.most_common(1)
    return next(verifier for verifier in verifiers.values() if (verifier.kind, verifier.cost) == most)


def _secret(verifiers: Mapping[str, Verifier]) -> bytes:
    """
    Derive the key of made-up salts from what only the file knows.

    It comes from two verifiers, chosen so that most changes of the file leave them the same (the least by their hash):
    one user's own verifier is known to that user, and salts that change with each new user would tell who is none.
    """
    ordered = sorted(hashlib.sha256(verifier.text.encode()).digest() for verifier in verifiers.values())
    return hashlib.sha256(b"empath made-up salts" + b"".join(ordered[:_KEYS])).digest()
