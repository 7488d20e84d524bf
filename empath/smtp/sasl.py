"""
Proving who we are to a server (RFC 4954): PLAIN (RFC 4616) and LOGIN.
"""

from __future__ import annotations

from base64 import b64encode

import attrs


@attrs.frozen(slots=True)
class Credentials:
    """
    A login and its password; ValueError if one holds a NUL, which PLAIN cannot carry.
    """

    username: str
    password: str = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        if "\0" in self.username or "\0" in self.password:
            raise ValueError("neither login nor password may hold a NUL")


@attrs.frozen(slots=True)
class Login:
    """
    One run of AUTH: the `command` that begins it, and the `answers` to the 334 replies that follow, in their order.
    """

    command: bytes = attrs.field(repr=False)
    answers: tuple[bytes, ...] = attrs.field(default=(), repr=False)


def login(mechanisms: frozenset[str], credentials: Credentials) -> Login | None:
    """
    Choose the way to log in, PLAIN before LOGIN; None if the server (its EHLO keyword AUTH) knows neither.
    """
    username, password = credentials.username.encode(), credentials.password.encode()
    if "PLAIN" in mechanisms:
        return Login(b"AUTH PLAIN " + b64encode(b"\0" + username + b"\0" + password) + b"\r\n")
    if "LOGIN" in mechanisms:
        return Login(b"AUTH LOGIN\r\n", (b64encode(username) + b"\r\n", b64encode(password) + b"\r\n"))
    return None
