"""
Logging in: whatever a client says, in whatever order, it is who it proved to be, or it is refused.

The first byte chooses the mechanism, the second the channel; then come the client's responses, a record separator
between two. A response that begins with STX is what a SCRAM client would send that has the rest for its password.
"""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from hashlib import pbkdf2_hmac, sha256
from hmac import digest
from typing import Final

from empath.smtp.sasl_server import MECHANISMS, begin, offered
from empath.smtp.sasl_server_steps import (
    BAD_LOGIN,
    MALFORMED,
    MAX_LOGIN,
    MAX_PASSWORD,
    Challenge,
    PasswordClaim,
    Proved,
    Refused,
    Step,
    TokenClaim,
    VerifierWanted,
)
from empath.smtp.scram import make_verifier

TOKENS: Final = (
    b"\x1e",
    b"\x02secret",
    b"\x02wrong",
    b"\0tim\0secret",
    b"tim\0tim\0secret",
    b"tim",
    b"secret",
    b"n,,",
    b"y,,",
    b"n,a=tim,",
    b"p=tls-exporter,,",
    b"p=tls-server-end-point,,",
    b"p=tls-unique,,",
    b"n=tim,r=nonce",
    b"n=eve,r=nonce",
    b"=2C",
    b"=3D",
    b",m=x",
    b"c=biws,r=",
    b",p=",
    b"user=tim\x01auth=Bearer token\x01\x01",
    b"\x01auth=Bearer token\x01\x01",
    b"\x01",
    b"\0",
    "\u00ad\u0130\u0627\u2126".encode(),
    b"\xff",
)
PASSWORD: Final = "secret"
VERIFIER: Final = make_verifier(PASSWORD, b"salt", 1)
CHANNELS: Final[tuple[dict[str, bytes], ...]] = ({}, {"tls-exporter": b"exported", "tls-server-end-point": b"hash"})


class Conversation:
    """
    The client, and an authenticator that lets tim in with his password or token; `proofs` says why he may.
    """

    def __init__(self, channel: dict[str, bytes]) -> None:
        self.channel = channel
        self.proofs: set[str] = set()
        self.said: list[bytes] = []

    def answered(self, step: Step) -> Step:
        """
        Answer what the authenticator is asked.
        """
        match step:
            case PasswordClaim(login, password, then):
                assert 0 < len(password.encode()) <= MAX_PASSWORD and "\0" not in password
                return then(self.known(login, password == PASSWORD))
            case TokenClaim(login, token, then):
                assert token.isascii() and token.isprintable() and " " not in token
                return then(self.known(login, token == "token"))
            case VerifierWanted(login, then):
                self.known(login, True)
                return then(VERIFIER)
        return step

    def known(self, login: str, right: bool) -> str | None:
        """
        Check a name, and say who it is.
        """
        assert len(login.encode()) <= MAX_LOGIN and "\0" not in login and login == login.lower()
        if not right:
            return None
        self.proofs.add(login)
        return login

    def spoken(self, response: bytes, step: Challenge) -> bytes:
        """
        Make the response: as it stands, or as one with a password makes it.
        """
        password = response[1:].decode("utf-8", "replace")
        if response.startswith(b"\x02") and step.data.startswith(b"r=") and self.said:
            response = final(self.said[-1], step.data, password, self.channel)
        self.said.append(response)
        return response


def final(first: bytes, server: bytes, password: str, channel: dict[str, bytes]) -> bytes:
    """
    Make client-final-message, straight from RFC 5802 §3.
    """
    flag, other, bare = first.split(b",", 2)
    bound = flag + b"," + other + b"," + channel.get(flag.removeprefix(b"p=").decode("latin-1"), b"")
    fields = dict(field.split(b"=", 1) for field in server.split(b","))
    unproved = b"c=" + b64encode(bound) + b",r=" + fields[b"r"]
    message = b",".join((bare, server, unproved))
    salted = pbkdf2_hmac("sha256", password.encode(), b64decode(fields[b"s"]), int(fields[b"i"]))
    key = digest(salted, b"Client Key", "sha256")
    signature = digest(sha256(key).digest(), message, "sha256")
    return unproved + b",p=" + b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True)))


def one_input(data: bytes) -> None:
    """
    Hold one conversation.
    """
    channel = CHANNELS[data[1:2] > b"\x7f"]
    mechanism = MECHANISMS[(data[0] if data else 0) % len(MECHANISMS)]
    if mechanism not in offered(MECHANISMS, channel):
        return
    talk = Conversation(channel)
    step = begin(mechanism, None, channel, random.Random(1))
    responses = data[2:].split(b"\x1e")
    passwords: list[bytes] = []
    while isinstance(step, Challenge) and responses:
        assert len(step.data) < 2000 + 4 * len(data)
        passwords.append(responses.pop(0))
        step = talk.answered(step.then(talk.spoken(passwords[-1], step)))
    match step:
        case Proved(login):
            assert login in talk.proofs, f"{login} is not who was asked about"
            scram = mechanism.startswith("SCRAM")
            assert not scram or len(passwords) == 3, "let in before the end"
            assert not scram or b"\x02secret" in passwords[1], "let in without the password"
        case Refused(reply, reason):
            assert reply in (BAD_LOGIN, MALFORMED) and reason
        case _:
            assert isinstance(step, Challenge), f"{step} after its answer"
