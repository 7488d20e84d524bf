"""
SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side of the exchange (RFC 5802 §5, RFC 7677).

SMTP has no place for what a server says with success, so the ServerSignature is one more challenge, which the client
answers with an empty response (RFC 4954 §4). Channel bindings are tls-exporter (RFC 9266) and tls-server-end-point
(RFC 5929 §4).
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import attrs

from empath.smtp.sasl_server_steps import (
    Challenge,
    Proved,
    Refused,
    Step,
    VerifierWanted,
    malformed,
    prepared_login,
    wrong,
)
from empath.smtp.scram import ScramVerifier

if TYPE_CHECKING:
    import random

NONCE: Final = 18  # octets of chance in our part of the nonce
MAX_NONCE: Final = 512  # octets of the client's

_NAME: Final = r"(?:[^=,\0]|=2C|=3D)++"  # saslname
_VALUE: Final = r"[^,\0]++"
_EXTENSIONS: Final = rf"(?:,[A-Za-z]={_VALUE})*+"
_FIRST: Final = re.compile(
    rf"(?P<gs2>(?P<flag>n|y|p=(?P<type>[A-Za-z0-9.-]++)),(?:a=(?P<other>{_NAME}))?,)"
    rf"(?P<bare>n=(?P<name>{_NAME}),r=(?P<nonce>[!-+\--~]++){_EXTENSIONS})"
)
_FINAL: Final = re.compile(
    rf"(?P<unproved>c=(?P<binding>[A-Za-z0-9+/=]++),r=(?P<nonce>[!-+\--~]++)(?:,(?!p=)[A-Za-z]={_VALUE})*+)"
    r",p=(?P<proof>[A-Za-z0-9+/=]++)"
)


@attrs.frozen(slots=True)
class Opening:
    """
    The first two messages: `bound` is what the client has to repeat of header and channel, `messages` the beginning of
    the AuthMessage, `nonce` both parts of it.
    """

    login: str
    bound: bytes
    messages: str
    nonce: str
    verifier: ScramVerifier


@attrs.frozen(slots=True)
class ServerScram:
    """
    One login by SCRAM; `plus`: as SCRAM-SHA-256-PLUS. `binding` has the data of each channel binding of the connection,
    empty where -PLUS is not offered.
    """

    plus: bool
    binding: Mapping[str, bytes] = attrs.field(repr=False)
    chance: random.Random = attrs.field(repr=False)

    def first(self, response: bytes) -> Step:
        """
        Take client-first-message.
        """
        match = _match(_FIRST, response)
        if match is None or len(match["nonce"]) > MAX_NONCE:
            return malformed("no client-first-message")
        try:
            login = _login(match["name"])
            other = login if match["other"] is None else _login(match["other"])
        except ValueError as error:
            return malformed(str(error))
        if other != login:
            return wrong(f"may not act for {other}", login)
        return self._misbound(match, login) or VerifierWanted(login, lambda found: self._answer(login, match, found))

    def _misbound(self, match: re.Match[str], login: str) -> Refused | None:
        """
        Refuse a channel binding that does not fit the mechanism, and the sign that somebody between us hides -PLUS from
        the client (RFC 5802 §6: "y" is said by clients that would have used it).
        """
        kind = match["type"]
        if self.plus is not (kind is not None):
            return malformed("channel binding with -PLUS, and only with it")
        if kind is not None and kind not in self.binding:
            return wrong(f"no channel binding {kind}", login)
        if match["flag"] == "y" and self.binding:
            return wrong("the client did not see that -PLUS is offered", login)
        return None

    def _answer(self, login: str, match: re.Match[str], verifier: ScramVerifier) -> Step:
        """
        Send server-first-message.
        """
        nonce = match["nonce"] + b64encode(self.chance.randbytes(NONCE)).decode()
        said = f"r={nonce},s={b64encode(verifier.salt).decode()},i={verifier.iterations}"
        bound = match["gs2"].encode() + (self.binding[match["type"]] if self.plus else b"")
        opening = Opening(login, bound, f"{match['bare']},{said}", nonce, verifier)
        return Challenge(said.encode(), lambda response: conclude(opening, response))


def conclude(opening: Opening, response: bytes) -> Step:
    """
    Take client-final-message, and send server-final-message.
    """
    match = _match(_FINAL, response)
    if match is None:
        return malformed("no client-final-message")
    try:
        bound, proof = b64decode(match["binding"], validate=True), b64decode(match["proof"], validate=True)
    except binascii.Error:
        return malformed("client-final-message: no base64")
    login, message = opening.login, f"{opening.messages},{match['unproved']}".encode()
    if match["nonce"] != opening.nonce:
        return wrong("the nonce is not what was said", login)
    if not hmac.compare_digest(bound, opening.bound):
        return wrong("the channel is not bound", login)
    if not opening.verifier.fulfilled_by(proof, message):
        return wrong("wrong password or unknown login", login)
    final = b"v=" + b64encode(opening.verifier.signature(message))
    return Challenge(final, lambda response: malformed("no empty response") if response else Proved(login))


def _match(pattern: re.Pattern[str], response: bytes) -> re.Match[str] | None:
    """
    Match a whole message, which is UTF-8.
    """
    try:
        return pattern.fullmatch(response.decode())
    except UnicodeDecodeError:
        return None


def _login(name: str) -> str:
    """
    Read a saslname.
    """
    return prepared_login(name.replace("=2C", ",").replace("=3D", "=").encode())
