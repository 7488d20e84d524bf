"""
What kind of failure a reply tells of, in a small set of words that stays the same whoever wrote the reply.

The enhanced status code alone does not tell: big receivers use 5.7.1 for a dozen things, and many send none. So the
text is looked at first where it is plain, then the code, then vaguer words, then the class of the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Final

from empath.mail.reply import Reply
from empath.policy.bounce_codes import category_of_code, category_of_status
from empath.policy.bounce_words import plain_words, speaks_of_sender, vague_words

_PATH: Final = re.compile(r"(?<=//)([^/\s]*)/\S*")  # of a URL
_MOST: Final = 1000  # characters that are looked at
_KEPT: Final = 1000  # answers
_OF_SENDERS: Final = {  # what it is if it is not the recipient whom nobody knows
    "bad-mailbox": "authentication",
    "bad-domain": "authentication",
    "inactive-mailbox": "policy",
}


class Category(Enum):
    """
    The kinds; the words are those of [delivery.bounces] and [delivery.suppression].
    """

    BAD_MAILBOX = "bad-mailbox"  # no such mailbox
    BAD_DOMAIN = "bad-domain"  # no such domain, or one that takes no mail
    INACTIVE_MAILBOX = "inactive-mailbox"  # disabled, suspended, moved away
    QUOTA = "quota"  # the mailbox is full
    BLOCKED = "blocked"  # our address or domain is on a list, or has a bad name
    SPAM = "spam"  # this message was taken for spam
    POLICY = "policy"  # other rules of the receiver
    AUTHENTICATION = "authentication"  # SPF, DKIM, DMARC, reverse DNS, the sender's domain
    CONTENT = "content"  # an attachment, a header field, the form of the message
    MESSAGE_SIZE = "message-size"
    RATE = "rate"  # too much, too fast, greylisted
    DNS = "dns"  # hosts cannot be found for now, or not at all
    CONNECTION = "connection"  # no host can be reached, breaks off, or has trouble of its own
    TLS = "tls"
    PROTOCOL = "protocol"  # a command or an extension that the host does not know or wants
    RELAYING = "relaying"  # the host does not carry mail for this domain, or wants a login
    LOOP = "loop"
    EXPIRED = "expired"  # tried for too long, and nothing else is known
    VIRUS = "virus"
    OTHER = "other"


class Classifier:
    """
    Tells categories; `patterns` are the operator's, regular expressions with the category of what matches: they are
    looked at first, in their order. ValueError for one that is no regular expression.
    """

    __slots__ = ("_known", "_patterns", "_plain", "_vague")

    def __init__(self, patterns: Iterable[tuple[str, str]] = ()) -> None:
        self._patterns = [(_compiled(text), category) for text, category in patterns]
        self._plain = plain_words()
        self._vague = vague_words()
        self._known: dict[tuple[str, bool], str] = {}

    def category_of(self, reply: Reply | None, host: str = "", expired: bool = False) -> str:
        """
        Tell the category of the failure that `reply` tells of, a word of `Category`.

        `host` said it, "" for a finding of ours. What is `expired` has the category of its last reply, if that says
        why: a full mailbox stays one when we give up. The same reply gets the same answer.
        """
        if reply is None:
            return Category.EXPIRED.value if expired else Category.OTHER.value
        key = (str(reply), bool(host))
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            found = self._known[key] = self._classified(reply, *key)
        return Category.EXPIRED.value if expired and found == Category.OTHER.value else found

    def _classified(self, reply: Reply, said: str, by_peer: bool) -> str:
        for pattern, category in self._patterns:
            if pattern.search(said):
                return category
        status = None if reply.enhanced is None else category_of_status(reply.enhanced, by_peer)
        if not by_peer:
            return status or category_of_code(reply.code, reply.enhanced)
        text = _wording(reply)
        plain = self._plain.find(text)
        if plain in _OF_SENDERS and status not in _OF_SENDERS and speaks_of_sender(text):
            plain = _OF_SENDERS[plain]
        return plain or status or self._vague.find(text) or category_of_code(reply.code, reply.enhanced)


def _wording(reply: Reply) -> str:
    """
    Give what a reply says in words: addresses and the paths of URLs may have any word in them.
    """
    words = " ".join(reply.lines)[:_MOST].lower().split()
    return _PATH.sub(r"\1", " ".join([word for word in words if "@" not in word]))


def _compiled(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as problem:
        raise ValueError(f"{text!r} is no regular expression: {problem}") from None
