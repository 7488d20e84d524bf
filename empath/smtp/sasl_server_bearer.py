"""
Logging in with a bearer token (RFC 6750): OAUTHBEARER (RFC 7628), and XOAUTH2 as Google and Microsoft describe it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from empath.smtp.sasl_server_steps import Challenge, Proved, Step, TokenClaim, malformed, prepared_login, wrong

OAUTHBEARER_ERROR: Final = b'{"status":"invalid_token","schemes":"bearer"}'  # RFC 7628 §3.2.2
XOAUTH2_ERROR: Final = b'{"status":"401","schemes":"bearer"}'

_BEARER: Final = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/-]++=*+) *")  # RFC 6750 §2.1
_PAIR: Final = re.compile(r"([A-Za-z]++)=([^\x00\x01]*+)")  # RFC 7628 §3.1: VCHAR, SP, HTAB, CR, LF
_GS2: Final = re.compile(r"[ny],(?:a=((?:[^=,\0]|=2C|=3D)++))?,")


def begin_oauthbearer(response: bytes) -> Step:
    """
    Read gs2-header ^A key=value ^A … ^A (RFC 7628 §3.1); host and port say what is known here already.
    """
    header, _, rest = _text(response).partition("\x01")
    gs2, pairs = _GS2.fullmatch(header), _pairs(rest)
    if gs2 is None or pairs is None:
        return malformed("no OAUTHBEARER response")
    named = (gs2[1] or "").replace("=2C", ",").replace("=3D", "=")
    return _claim(named, pairs.get("auth", ""), OAUTHBEARER_ERROR)


def begin_xoauth2(response: bytes) -> Step:
    """
    Read user=… ^A auth=Bearer … ^A ^A.
    """
    pairs = _pairs(_text(response))
    if pairs is None or not pairs.get("user"):
        return malformed("no XOAUTH2 response")
    return _claim(pairs["user"], pairs.get("auth", ""), XOAUTH2_ERROR)


def _text(response: bytes) -> str:
    """
    Decode a response; what is no UTF-8 fits no grammar here.
    """
    try:
        return response.decode()
    except UnicodeDecodeError:
        return ""


def _pairs(text: str) -> dict[str, str] | None:
    """
    Read key=value pairs, a ^A behind each and one behind all; None if they are none.
    """
    if not text.endswith("\x01\x01"):
        return {} if text == "\x01" else None
    pairs = [_PAIR.fullmatch(pair) for pair in text[:-2].split("\x01")]
    found = {pair[1]: pair[2] for pair in pairs if pair is not None}
    return found if len(found) == len(pairs) else None


def _claim(named: str, authorization: str, error: bytes) -> Step:
    """
    Claim what the header says; without a bearer token the client hears what is needed, as for a token that is wrong.
    """
    try:
        login = prepared_login(named.encode()) if named else ""
    except ValueError as trouble:
        return malformed(str(trouble))
    failed = _failed(login, error)
    match = _BEARER.fullmatch(authorization)
    return failed(None) if match is None else TokenClaim(login, match[1], failed)


def _failed(login: str, error: bytes) -> Callable[[str | None], Step]:
    """
    Make the `then` of a claim: failure is told in a challenge, and whatever the client answers (it should be ^A,
    for XOAUTH2 nothing) ends the login (RFC 7628 §3.2.3).
    """

    def acknowledged(_: bytes) -> Step:
        return wrong("no token, or a wrong one", login)

    def then(found: str | None) -> Step:
        return Challenge(error, acknowledged) if not found else Proved(found)

    return then
