"""
The part of a report that people read, as a module may write it, in another language, say.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from empath.mail.message import Message
from empath.mail.notice import Notice

LONGEST_TEXT: Final = 65536  # characters
LONGEST_SUBJECT: Final = 250

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_LANGUAGES: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*(?:, ?[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*){0,9}")


@attrs.frozen(slots=True)
class Draft:
    """
    A report that is being made: what it tells (`notices`) of which message, and what empath would write, with lines
    that end in LF. `mta` is our name; `whole` tells that all of the message comes back with it, else its header.
    """

    message: Message
    notices: tuple[Notice, ...]
    subject: str
    text: str
    mta: str
    whole: bool


@attrs.frozen(slots=True)
class ReportText:
    """
    What the first part of a report says instead; `subject` is that of the report ("": empath's), `language` a language
    tag for Content-Language (RFC 5646, "de"; several with commas; "": none is told).

    ValueError for texts that are none, too long, or a tag that is none.
    """

    text: str
    subject: str = ""
    language: str = ""

    def __attrs_post_init__(self) -> None:
        if not all(isinstance(each, str) for each in (self.text, self.subject, self.language)):
            raise ValueError("text, subject and language are texts")
        if not self.text.strip() or len(self.text) > LONGEST_TEXT:
            raise ValueError(f"a text of at most {LONGEST_TEXT} characters")
        if len(self.subject) > LONGEST_SUBJECT:
            raise ValueError(f"a subject of at most {LONGEST_SUBJECT} characters")
        if self.language and not _LANGUAGES.fullmatch(self.language):
            raise ValueError(f"no language tag: {self.language!r}")


def lines_of(text: str) -> str:
    """
    Give a text as it goes into a report: lines end in CRLF, what cannot be said in mail is "?".
    """
    clean = _CONTROL.sub("?", _LINE_END.sub("\n", text)).rstrip("\n")
    return clean.replace("\n", "\r\n") + "\r\n"
