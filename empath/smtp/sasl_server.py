"""
Finding out who a client is (RFC 4954), as a server: which mechanisms there are, and the first step of each.

`begin` gives the first step; every step says what to do and goes on by itself:

    step = begin("PLAIN", None, {}, chance)      # Challenge(b""): send it, wait for the response
    step = step.then(b"\\0tim\\0tanstaaftanstaaf")  # PasswordClaim("tim", …): ask the authenticator
    step = step.then("tim")                      # Proved("tim")

"*" and bad base64 never come here: the session refuses them (501). PLAIN is RFC 4616, LOGIN
draft-murchison-sasl-login-00.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final

from empath.smtp.sasl_server_bearer import begin_oauthbearer, begin_xoauth2
from empath.smtp.sasl_server_scram import ServerScram
from empath.smtp.sasl_server_steps import (
    Challenge,
    PasswordClaim,
    Step,
    clear_password,
    malformed,
    prepared_login,
    settled,
    wrong,
)

if TYPE_CHECKING:
    import random

SCRAM: Final = "SCRAM-SHA-256"
SCRAM_PLUS: Final = "SCRAM-SHA-256-PLUS"
MECHANISMS: Final = (SCRAM_PLUS, SCRAM, "PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2")


def offered(known: Collection[str], binding: Mapping[str, bytes]) -> tuple[str, ...]:
    """
    Give the mechanisms to offer, best first: `known` are those of `IAuthenticator.mechanisms`, `binding` the data of
    each channel binding that this connection has (empty: none, and so no -PLUS).
    """
    names = {*known, SCRAM_PLUS} if binding and SCRAM in known else {*known} - {SCRAM_PLUS}
    return tuple(name for name in MECHANISMS if name in names)


def begin(mechanism: str, initial: bytes | None, binding: Mapping[str, bytes], chance: random.Random) -> Step:
    """
    Take AUTH with a mechanism that was offered; `initial` is the decoded initial response, None without one.

    `binding` is what `offered` was told; `chance` must be cryptographic (`random.SystemRandom`).
    """
    first = _first_step(mechanism, binding, chance)
    if initial is not None:
        return first(initial)
    return Challenge(b"Username:" if mechanism == "LOGIN" else b"", first)


def _first_step(mechanism: str, binding: Mapping[str, bytes], chance: random.Random) -> Callable[[bytes], Step]:
    """
    Find what takes the first response.
    """
    match mechanism:
        case "PLAIN":
            return _plain
        case "LOGIN":
            return _login_name
        case "SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS":
            return ServerScram(mechanism == SCRAM_PLUS, binding, chance).first
        case "OAUTHBEARER":
            return begin_oauthbearer
        case "XOAUTH2":
            return begin_xoauth2
        case _:
            raise ValueError(f"no mechanism of ours: {mechanism}")


def _plain(response: bytes) -> Step:
    """
    Read [authzid] NUL authcid NUL password (RFC 4616 §2).
    """
    fields = response.split(b"\0")
    if len(fields) != 3:
        return malformed("PLAIN needs three fields")
    try:
        login, password = prepared_login(fields[1]), clear_password(fields[2])
        other = prepared_login(fields[0]) if fields[0] else login
    except ValueError as error:
        return malformed(str(error))
    if other != login:
        return wrong(f"may not act for {other}", login)
    return PasswordClaim(login, password, settled(login))


def _login_name(response: bytes) -> Step:
    """
    Take the name; the password comes next, whoever that is.
    """
    try:
        login = prepared_login(response)
    except ValueError as error:
        return malformed(str(error))

    def password(response: bytes) -> Step:
        try:
            return PasswordClaim(login, clear_password(response), settled(login))
        except ValueError as error:
            return malformed(str(error))

    return Challenge(b"Password:", password)
