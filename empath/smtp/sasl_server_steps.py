"""
The steps of a login as a server takes them: what every mechanism says, and how each step goes on.

A step that waits for something has `then`: called once with what came, it gives the next step. So a login that is
under way is nothing but its last step, and nothing can be said out of turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from empath.mail.reply import Reply
from empath.smtp.saslprep import saslprep
from empath.smtp.scram import ScramVerifier

BAD_LOGIN: Final = Reply.of("535 5.7.8 authentication credentials invalid")
MALFORMED: Final = Reply.of("501 5.5.2 the response is malformed")
MAX_LOGIN: Final = 255  # octets, as RFC 4616 §2 bounds it
MAX_PASSWORD: Final = 1024  # octets; longer ones only cost time


@attrs.frozen(slots=True)
class Challenge:
    """
    Send `data` (in base64, behind 334), and call `then` with the decoded response.
    """

    data: bytes
    then: Callable[[bytes], Step] = attrs.field(eq=False, repr=False)


@attrs.frozen(slots=True)
class PasswordClaim:
    """
    Ask `IAuthenticator.check_password`, and call `then` with the login that it tells, or None.
    """

    login: str
    password: str = attrs.field(repr=False)
    then: Callable[[str | None], Step] = attrs.field(eq=False, repr=False)


@attrs.frozen(slots=True)
class TokenClaim:
    """
    Ask `IAuthenticator.check_token`, and call `then` with the login that it tells, or None. `login` may be "".
    """

    login: str
    token: str = attrs.field(repr=False)
    then: Callable[[str | None], Step] = attrs.field(eq=False, repr=False)


@attrs.frozen(slots=True)
class VerifierWanted:
    """
    Ask `IAuthenticator.scram_verifier`, and call `then` with what it tells.
    """

    login: str
    then: Callable[[ScramVerifier], Step] = attrs.field(eq=False, repr=False)


@attrs.frozen(slots=True)
class Proved:
    """
    The client is `login`: what remains is whether it may come in (`IDecisions.auth`).
    """

    login: str


@attrs.frozen(slots=True)
class Refused:
    """
    The login failed: `reply` says so without a hint why, `reason` is for the log, `login` who it was said to be ("":
    it did not come so far).
    """

    reply: Reply
    reason: str
    login: str = ""


Step = Challenge | PasswordClaim | TokenClaim | VerifierWanted | Proved | Refused


def malformed(reason: str) -> Refused:
    """
    Refuse a response that its mechanism does not allow.
    """
    return Refused(MALFORMED, reason)


def wrong(reason: str, login: str) -> Refused:
    """
    Refuse a login that does not exist or did not prove itself: one reply for whatever is wrong.
    """
    return Refused(BAD_LOGIN, reason, login)


def settled(claimed: str) -> Callable[[str | None], Step]:
    """
    Make the `then` of a claim that nothing but its answer can follow.
    """

    def then(found: str | None) -> Step:
        return wrong("wrong password or unknown login", claimed) if not found else Proved(found)

    return then


def prepared_login(raw: bytes) -> str:
    """
    Read a login name as clients say it and files hold it: SASLprep of its UTF-8 (RFC 4616 §2, RFC 5802 §5.1), so never
    with control characters, and in lower case, so that case does not count (as Dovecot has it). ValueError for what is
    none, is empty, or longer than 255 octets.
    """
    name = saslprep(saslprep(raw.decode()).lower())
    if not name or len(raw) > MAX_LOGIN or len(name.encode()) > MAX_LOGIN:
        raise ValueError("a login name has 1 to 255 octets")
    return name


def clear_password(raw: bytes) -> str:
    """
    Read a password that came in the clear; ValueError for what can be none: empty, not UTF-8, with a NUL, too long.
    """
    if not raw or len(raw) > MAX_PASSWORD or b"\0" in raw:
        raise ValueError(f"a password has 1 to {MAX_PASSWORD} octets and no NUL")
    return raw.decode()
