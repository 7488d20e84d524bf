"""
Questions: from a name as text to the bytes that a server is asked with.

Names are always absolute, there is no search list. What cannot be the name of anything is refused here.
"""

from __future__ import annotations

import re
from typing import Final

import attrs
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import idna

PAYLOAD: Final = 1232  # octets of UDP that reach nearly everyone unfragmented (DNS flag day 2020)
_LABEL: Final = re.compile(r"[a-z0-9_-]{1,63}", re.ASCII)
_MAX_LENGTH: Final = 253

Key = tuple[str, str]
"""
What an answer is kept under: the name in lower case without final dot, and the type in upper case.
"""


@attrs.frozen(slots=True)
class Question:
    """
    One question of class IN. `text` and `rdtype` make its key; `name` is what is asked for (an alias' target later on).
    """

    text: str
    rdtype: str
    name: dns.name.Name
    type: dns.rdatatype.RdataType

    @property
    def key(self) -> Key:
        """
        The key of the answer in the cache.
        """
        return self.text, self.rdtype


ROOT: Final = Question("", "NS", dns.name.root, dns.rdatatype.NS)  # the probe: any server can answer it


@attrs.frozen(slots=True)
class Manner:
    """
    How a question is put: with EDNS0, asking to be told whether the answer is authentic (AD, RFC 6840 §5.7), asking for
    signatures (DO, RFC 3225; only with EDNS0), asking the server to check nothing (CD, RFC 4035 §3.2.2).
    """

    edns: bool = True
    authentic: bool = False
    signatures: bool = False
    unchecked: bool = False

    @property
    def plainer(self) -> Manner:
        """
        How to ask who does not understand this: without EDNS0, unless the answer would be worth nothing then.
        """
        return self if self.unchecked else attrs.evolve(self, edns=False)


class NoType(ValueError):
    """
    There are no records of this type to ask for.
    """


class NoName(ValueError):
    """
    This cannot be a domain name.
    """


def question_of(name: str, rdtype: str) -> Question:
    """
    Make the question for a name such as "Example.org." and a type such as "MX".

    NoName for what is not 1 to 127 labels of letters, digits, "-" and "_", 253 octets in all, after IDNA encoding
    where it is not ASCII; NoType for an unknown type and for those that are no records (ANY, AXFR, OPT, …).
    """
    try:
        type_ = dns.rdatatype.from_text(rdtype)
    except (dns.exception.DNSException, ValueError):
        raise NoType(rdtype) from None
    if dns.rdatatype.is_metatype(type_) or not type_:
        raise NoType(rdtype)
    text = _ascii(name.removesuffix(".")).lower()
    labels = text.split(".")
    if len(text) > _MAX_LENGTH or not all(map(_LABEL.fullmatch, labels)):
        raise NoName(name)
    return Question(text, rdtype.upper(), dns.name.Name([*(label.encode() for label in labels), b""]), type_)


def _ascii(name: str) -> str:
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode()
    except UnicodeError:
        raise NoName(name) from None


def query(question: Question, ident: int, manner: Manner) -> bytes:
    """
    Spell the question out, recursion desired.
    """
    flags = dns.flags.RD
    if manner.authentic:
        flags |= dns.flags.AD
    if manner.unchecked:
        flags |= dns.flags.CD
    message = dns.message.make_query(
        question.name,
        question.type,
        dns.rdataclass.IN,
        use_edns=0 if manner.edns else False,
        ednsflags=dns.flags.DO if manner.edns and manner.signatures else 0,
        payload=PAYLOAD,
        id=ident,
        flags=flags,
    )
    return message.to_wire()
