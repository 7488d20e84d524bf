"""
What is said in a dialogue as text that people may see: without passwords, without content, and of a bounded length.

Of AUTH (RFC 4954) only its mechanism is shown. Neither are the responses that a client sends behind a refused AUTH
without having waited for the reply, nor the content behind a refused DATA, which the server takes for unknown commands;
nor a secret that the peer repeats. Of a command that nobody knows only its first word is shown.
"""

from __future__ import annotations

import re
from typing import Final

from empath.smtp.echoes import MASKED, Echoes
from empath.smtp.events import Verb

LONGEST: Final = 500  # characters of a line that are shown
MECHANISMS: Final = frozenset(
    {
        *("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "EXTERNAL", "ANONYMOUS", "NTLM", "GSSAPI", "XOAUTH2"),
        *("OAUTHBEARER", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"),
    }
)
_COMMANDS: Final = frozenset({verb.value for verb in Verb} | {"EXPN", "ETRN", "XFORWARD", "SEND", "SOML", "SAML"})
_PATHS: Final = {"MAIL": "FROM:", "RCPT": "TO:"}
_EXACT: Final = frozenset({"EHLO", "HELO", "LHLO", "BDAT", "XCLIENT", "XFORWARD"})  # begin no sentence
_CONTENT: Final = frozenset({"DATA", "BDAT"})
_SIGNS: Final = frozenset({".", "*", ""})  # the end of content that nobody wanted, a login that was given up
_BASE64: Final = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})")
_FIRST_WORD: Final = re.compile(r"([^\s:=]{1,24}[:=]?)(.*)", re.DOTALL)


class Masking:
    """
    Makes the lines of one dialogue fit to be seen. One that is `joined` in its middle may be in anything.

    `_guarded`: what is no command may be a response, or content.
    """

    __slots__ = ("_echoes", "_guarded", "_names")

    def __init__(self, *, joined: bool = False) -> None:
        self._guarded = joined
        self._names = False  # the next response is a name
        self._echoes = Echoes()

    def password(self, text: str) -> None:
        """
        Never show this.
        """
        self._echoes.password(text)

    def response(self, line: bytes) -> str:
        """
        Give what a client said to a challenge.
        """
        self._guarded = True
        self._remember(line.decode("utf-8", "backslashreplace").split())
        return MASKED

    def command(self, line: bytes) -> str:
        """
        Give what a client said, one line without its CRLF.
        """
        text = line.decode("utf-8", "backslashreplace")
        words = text.split()
        verb = words[0].upper() if words else ""
        if verb.startswith("AUTH"):
            self._guarded = True
            return self._masked_auth(words)
        if verb in _COMMANDS or text in _SIGNS:
            return self._known(verb, text, words)
        named = any(word.upper() in MECHANISMS for word in words)
        if self._guarded or named or _BASE64.fullmatch(text):
            self._guarded = self._guarded or named
            self._remember(words)
            return MASKED
        return self._unknown(text)

    def reply(self, line: bytes) -> str:
        """
        Give what a server said, one line without its CRLF. Challenges are not shown: they help to guess.
        """
        text = line.decode("utf-8", "backslashreplace")
        if text.startswith("334"):
            return f"334 {MASKED}" if text[3:].strip(" -") else "334"
        return self.words(text)

    def words(self, text: str) -> str:
        """
        Give what is told of a connection, maybe in the peer's words.
        """
        return cut(self._echoes.hidden(text))

    def _known(self, verb: str, text: str, words: list[str]) -> str:
        """
        Show a command; behind AUTH and DATA only one that is no sentence.
        """
        if self._guarded and len(words) > 1 and verb not in _EXACT:
            path = _PATHS.get(verb)
            if path is None or not words[1].upper().startswith(path):
                return f"{words[0]} {MASKED}"
        self._guarded = self._guarded or verb in _CONTENT
        return self.words(text)

    def _unknown(self, text: str) -> str:
        """
        Show the first word alone: a header field, a URL and the login of another protocol have their secrets behind it.
        """
        found = _FIRST_WORD.match(text.lstrip())
        if found is None:
            return MASKED
        shown, rest = found[1], found[2].strip()
        return self.words(f"{shown} {MASKED}" if rest else shown)

    def _masked_auth(self, words: list[str]) -> str:
        known = len(words) > 1 and words[0].upper() == "AUTH" and words[1].upper() in MECHANISMS
        shown = 2 if known else 1
        hidden = words[shown:]
        self._names = known and words[1].upper() == "LOGIN"
        self._remember(hidden)
        kept = words[:shown] if words[0].upper() == "AUTH" else ["AUTH", MASKED]
        return " ".join([*kept, MASKED] if hidden and kept[-1] != MASKED else kept)

    def _remember(self, words: list[str]) -> None:
        """
        Remember what was said to log in: to LOGIN first the name.
        """
        for word in words:
            self._echoes.response(word, name=self._names)
            self._names = False


def printable(text: str) -> str:
    """
    Give a text that fits a line, and moves no cursor.
    """
    if text.isprintable() and len(text) <= LONGEST:
        return text
    shown = cut(text)
    return shown if shown.isprintable() else "".join(c if c.isprintable() else "?" for c in shown)


def cut(text: str) -> str:
    """
    Give a text at a length that fits a line.
    """
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… [{len(text)} characters]"
