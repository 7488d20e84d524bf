"""
How the words of strangers, and of ourselves about people, stand in spans.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from empath.mail.step import Fact
from empath.observe.logs.escaping import escaped

LONGEST: Final = 1000  # characters of a text
HIDDEN: Final = "…"
_SIGN: Final = (  # also as URLs, quoted-printable, xtext, RFC 6533 and HTML write it
    r"(?:[@＠﹫]|%(?:25)?40|=40(?!\d*(?:\s|$))|\+40|x\{40\}|&(?:\#64|\#x40|commat);)"
)
_AT: Final = re.compile(_SIGN, re.IGNORECASE)
_QUOTED: Final = re.compile(rf'"(?=\s{{0,3}}{_SIGN})', re.IGNORECASE)
_LOCAL_PART: Final = re.compile(rf'(?<![^\s<>",;:@])[^\s<>",;:@]+?(?=\s{{0,3}}{_SIGN})', re.IGNORECASE)
_NAMING: Final = re.compile(
    r"""(?P<said>(?:MAIL|SEND|SOML|SAML)\s+FROM\s*:\s*<?|RCPT\s+TO\s*:\s*<?)(?P<path>(?:"(?:[^"\\]|\\.)*+"?|[^">])*+)(?P<rest>.*)"""
    r"|(?P<asked>(?:VRFY|EXPN)\s+).+",
    re.IGNORECASE | re.DOTALL,
)
_PARAMETER: Final = re.compile(r"(?P<name>\sAUTH=|\sENVID=|\sORCPT=[^\s;]*;)(?P<value>[^\s<>]+)", re.IGNORECASE)


class Showing:
    """
    Makes texts fit for spans: printable, of a bounded length, and, unless `addresses` are to be shown whole, without
    local parts.
    """

    __slots__ = ("addresses",)

    def __init__(self, addresses: bool = False) -> None:
        self.addresses = addresses

    def text(self, text: str) -> str:
        """
        Give a text as it is shown.
        """
        if not self.addresses:
            text = without_local_parts(text)
        text = escaped(text)
        return text if len(text) <= LONGEST else text[:LONGEST] + HIDDEN

    def facts(self, facts: Mapping[str, Fact]) -> dict[str, Fact]:
        """
        Give attributes as they are shown.
        """
        return {key: self.text(fact) if isinstance(fact, str) else fact for key, fact in facts.items()}


def without_local_parts(text: str) -> str:
    """
    Hide local parts: what stands before an at sign, however that is written, and, of commands that take an address,
    all of one that has none. Rather too much is hidden than too little.
    """
    naming = _NAMING.match(text)
    if naming is not None:
        text = _named(naming)
    if not _AT.search(text):
        return text
    quoted = list(_QUOTED.finditer(text))
    if quoted and (begin := text.find('"')) < quoted[-1].start():
        text = f"{text[:begin]}{HIDDEN}{text[quoted[-1].end() :]}"
    return _LOCAL_PART.sub(HIDDEN, text)


def _named(naming: re.Match[str]) -> str:
    """
    Give a command that takes an address, without what can only be a local part.
    """
    if naming["asked"]:
        return naming["asked"] + HIDDEN
    path, ends = naming["path"], [found.start() for found in _AT.finditer(naming["path"])]
    shown = path and HIDDEN + (path[ends[-1] :] if ends else "")
    return naming["said"] + shown + _PARAMETER.sub(_valued, naming["rest"])


def _valued(parameter: re.Match[str]) -> str:
    value = parameter["value"]
    return parameter["name"] + (value if _AT.search(value) else HIDDEN)
