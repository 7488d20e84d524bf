"""
Secrets that a peer repeats: found again in what it says, in whichever of the usual ways it writes them down.

A peer that was told a password can always tell it on in disguise. This is for those that mean no harm: which quote the
command they did not understand (whole, cut short, folded), or the login that they refuse.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode, urlsafe_b64encode
from collections import deque
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus

import attrs

MASKED: Final = "[masked]"
SHORTEST: Final = 4  # characters that a secret has at least, to be looked for
_REMEMBERED: Final = 8  # secrets
_FRAGMENT: Final = 8  # characters of an encoded secret that give it away
_LOOKED_AT: Final = 512  # characters of an encoded secret that are known in fragments
_ENCODED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_")
_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_FIELD: Final = re.compile(r"(?:^|,)p=(.*)")  # the proof of SCRAM (RFC 5802 §7)


@attrs.frozen(slots=True)
class _Secret:
    """
    One secret in small letters: `whole` as it may be found, `fragments` of what it may be encoded as.
    """

    whole: tuple[str, ...]
    fragments: frozenset[str]


class Echoes:
    """
    The latest secrets of one dialogue.
    """

    __slots__ = ("_secrets",)

    def __init__(self) -> None:
        self._secrets: deque[_Secret] = deque(maxlen=_REMEMBERED)

    def response(self, word: str, *, name: bool = False) -> None:
        """
        Remember what was said to log in, in base64 as a rule, and the secret within it; there is none in a `name`.
        """
        if len(word) < SHORTEST:
            return
        texts = set() if name else {text for text in _within(word) if len(text) >= SHORTEST}
        encoded = {word.translate(_LOWER), *(each for text in texts for each in _encodings(text))}
        whole = {word, *(each for text in texts for each in _spellings(text))}
        self._add(whole, encoded)

    def password(self, text: str) -> None:
        """
        Remember a password, of which nothing was said so far.
        """
        if len(text) >= SHORTEST:
            self._add(set(_spellings(text)), set(_encodings(text)))

    def hidden(self, text: str) -> str:
        """
        Give a text without what is remembered.
        """
        if not self._secrets:
            return text
        marks = bytearray(len(text))
        low = text.translate(_LOWER)
        for secret in self._secrets:
            _mark_fragments(low, secret.fragments, marks)
            _mark_whole(low, secret.whole, marks)
        return _without(text, marks) if any(marks) else text

    def _add(self, whole: set[str], encoded: set[str]) -> None:
        cut = [each[:_LOOKED_AT] for each in encoded]
        fragments = frozenset(
            each[at : at + _FRAGMENT] for each in cut for at in range(len(each) - _FRAGMENT + 1)
        )  # none of what is shorter
        self._secrets.append(_Secret(tuple({each.translate(_LOWER) for each in whole | encoded}), fragments))


def _within(word: str) -> Iterator[str]:
    """
    Find the secret in a response: behind the last NUL (PLAIN), behind "Bearer" (RFC 7628), behind a name and a blank
    (CRAM-MD5), the proof of SCRAM; else it is all of it. What is no base64 may be a password typed in by hand.
    """
    try:
        text = binascii.a2b_base64(word.rstrip("=") + "=" * (-len(word.rstrip("=")) % 4)).decode("utf-8", "replace")
    except ValueError:
        return
    if "\1" in text:
        yield from (each.rpartition(" ")[2] for each in text.split("\1") if each.lower().startswith("auth="))
    elif "\0" in text:
        yield text.rpartition("\0")[2]
    elif (proof := _FIELD.search(text)) is not None:
        yield proof[1]
    elif " " in text:
        yield text
        yield text.rpartition(" ")[2]
    else:
        yield text


def _spellings(text: str) -> Iterator[str]:
    """
    Spell a secret as text does, and texts within texts.
    """
    yield from (text, quote(text, safe=""), quote_plus(text), repr(text)[1:-1])
    yield text.replace("\\", "\\\\").replace('"', '\\"')
    yield text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _encodings(text: str) -> Iterator[str]:
    """
    Encode a secret in hexadecimal, and in base64 wherever it stands in what is encoded, in small letters.
    """
    octets = text.encode("utf-8", "surrogatepass")
    yield octets.hex()
    for encode in (b64encode, urlsafe_b64encode):
        for before in range(3):
            encoded = encode(b"\0" * before + octets).decode().rstrip("=")
            core = encoded[(0, 2, 3)[before] : len(encoded) - (1 if (before + len(octets)) % 3 else 0)]
            if len(core) > SHORTEST + 1:
                yield core.translate(_LOWER)


def _mark_whole(low: str, whole: tuple[str, ...], marks: bytearray) -> None:
    for each in whole:
        at = low.find(each)
        while at >= 0:
            marks[at : at + len(each)] = b"\1" * len(each)
            at = low.find(each, at + 1)


def _mark_fragments(low: str, fragments: frozenset[str], marks: bytearray) -> None:
    """
    Mark the words that hold a fragment.
    """
    for at in range(len(low) - _FRAGMENT + 1) if fragments else ():
        if not marks[at] and low[at : at + _FRAGMENT] in fragments:
            begin, end = at, at + _FRAGMENT
            while begin and low[begin - 1] in _ENCODED:
                begin -= 1
            while end < len(low) and low[end] in _ENCODED:
                end += 1
            marks[begin:end] = b"\1" * (end - begin)


def _without(text: str, marks: bytearray) -> str:
    """
    Replace each run of marked characters.
    """
    runs, end = [], 0
    for run in re.finditer(b"\1+", marks):
        runs += [text[end : run.start()], MASKED]
        end = run.end()
    return "".join([*runs, text[end:]])
