"""
What is said in a dialogue as text that people may see: without passwords, and of a bounded length.

Of AUTH (RFC 4954) only its mechanism is shown. Neither are the responses that a client sends behind a refused AUTH
without having waited for the reply, which the server takes for unknown commands; nor a secret that the peer repeats.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

from empath.smtp.events import Verb

MASKED: Final = "[masked]"
LONGEST: Final = 500  # characters of a line that are shown
MECHANISMS: Final = frozenset(
    {
        *("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "EXTERNAL", "ANONYMOUS", "NTLM", "GSSAPI", "XOAUTH2"),
        *("OAUTHBEARER", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"),
    }
)
_COMMANDS: Final = frozenset({verb.value for verb in Verb} | {"EXPN", "ETRN", "XFORWARD", "SEND", "SOML", "SAML"})
_SIGNS: Final = frozenset({".", "*", ""})  # the end of content that nobody wanted, a login that was given up
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})")
_REMEMBERED: Final = 8  # secrets
_TELLING: Final = 4  # characters that a secret has at least, to be looked for


class Masking:
    """
    Makes the lines of one dialogue fit to be seen.
    """

    __slots__ = ("_logging_in", "_secrets")

    def __init__(self) -> None:
        self._logging_in = False
        self._secrets: deque[str] = deque(maxlen=_REMEMBERED)

    def command(self, line: bytes) -> str:
        """
        Give what a client said, one line without its CRLF.
        """
        text = line.decode("utf-8", "backslashreplace")
        words = text.split()
        verb = words[0].upper() if words else ""
        if verb.startswith("AUTH"):
            self._logging_in = True
            return self._masked_auth(words)
        if verb in _COMMANDS or text in _SIGNS:
            return cut(self._without_secrets(text))
        if self._logging_in or _BASE64.fullmatch(text) or any(word.upper() in MECHANISMS for word in words):
            self._remember(words)
            return MASKED
        return cut(self._without_secrets(text))

    def reply(self, line: bytes) -> str:
        """
        Give what a server said, one line without its CRLF. Challenges are not shown: they help to guess.
        """
        text = line.decode("utf-8", "backslashreplace")
        if text.startswith("334"):
            return f"334 {MASKED}" if text[3:].strip(" -") else "334"
        return cut(self._without_secrets(text))

    def _masked_auth(self, words: list[str]) -> str:
        shown = 2 if len(words) > 1 and words[0].upper() == "AUTH" and words[1].upper() in MECHANISMS else 1
        hidden = words[shown:]
        self._remember(hidden)
        kept = words[:shown] if words[0].upper() == "AUTH" else ["AUTH", MASKED]
        return " ".join([*kept, MASKED] if hidden and kept[-1] != MASKED else kept)

    def _remember(self, words: list[str]) -> None:
        self._secrets.extend(word for word in words if len(word) >= _TELLING)

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASKED)
        return text


def cut(text: str) -> str:
    """
    Give a text at a length that fits a line.
    """
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… [{len(text)} characters]"
