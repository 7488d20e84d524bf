"""
Failures by their codes: enhanced status codes (RFC 3463, RFC 5248, RFC 7372, RFC 7505), then those of RFC 5321.

The words are those of `empath.policy.bounce.Category`.
"""

from __future__ import annotations

from typing import Final

_STATUS: Final = {  # by subject and detail
    "1.1": "bad-mailbox",
    "1.2": "bad-domain",
    "1.3": "bad-mailbox",
    "1.4": "bad-mailbox",
    "1.6": "inactive-mailbox",
    "1.7": "authentication",
    "1.8": "authentication",
    "1.10": "bad-domain",
    "1.20": "content",  # Microsoft: several From addresses
    "2.1": "inactive-mailbox",
    "2.2": "quota",
    "2.3": "message-size",
    "2.4": "policy",
    "2.121": "rate",  # Microsoft: the recipient's limit for one sender
    "2.122": "rate",  # Microsoft: the recipient's limit
    "3.0": "connection",
    "3.1": "connection",
    "3.2": "connection",
    "3.3": "protocol",
    "3.4": "message-size",
    "3.5": "connection",
    "3.6": "policy",  # RFC 6710: the priority was lowered
    "4.0": "connection",
    "4.1": "connection",
    "4.2": "connection",
    "4.3": "dns",
    "4.4": "dns",
    "4.5": "rate",
    "4.6": "loop",
    "4.7": "expired",
    "5.3": "rate",
    "6.1": "protocol",
    "6.2": "protocol",
    "6.3": "protocol",
    "6.5": "protocol",
    "6.7": "protocol",
    "6.8": "protocol",
    "6.9": "protocol",
    "6.10": "protocol",
    "7.3": "tls",
    "7.4": "tls",
    "7.5": "tls",
    "7.6": "tls",
    "7.8": "relaying",
    "7.9": "relaying",
    "7.10": "tls",
    "7.11": "tls",
    "7.12": "relaying",
    "7.13": "inactive-mailbox",
    "7.14": "relaying",
    "7.17": "inactive-mailbox",
    "7.18": "inactive-mailbox",
    "7.20": "authentication",
    "7.21": "authentication",
    "7.22": "authentication",
    "7.23": "authentication",
    "7.24": "authentication",
    "7.25": "authentication",
    "7.26": "authentication",
    "7.27": "authentication",
    "7.28": "rate",
    "7.29": "authentication",
    "7.30": "tls",
}
_OUR_TROUBLE: Final = frozenset({"3.0", "3.1", "3.2", "3.5"})
_SUBJECT: Final = {"3": "connection", "4": "connection", "5": "protocol", "6": "content", "7": "policy"}
_CODE: Final = {
    421: "connection",
    432: "relaying",
    451: "connection",
    452: "connection",
    454: "tls",
    500: "protocol",
    501: "protocol",
    502: "protocol",
    503: "protocol",
    504: "protocol",
    521: "bad-domain",
    523: "message-size",
    530: "relaying",
    534: "relaying",
    535: "relaying",
    538: "tls",
    550: "policy",
    551: "bad-mailbox",
    552: "quota",
    553: "bad-mailbox",
    555: "protocol",
    556: "bad-domain",
}


def category_of_status(enhanced: str, by_peer: bool) -> str | None:
    """
    Tell what an enhanced status code says that means one thing; of our own findings all of security are about TLS, but
    X.7.1, by which we do not want to. Trouble of our own system is no other host's.
    """
    subject = enhanced.partition(".")[2]
    if not by_peer and subject.startswith("7.") and subject != "7.1":
        return "tls"
    if not by_peer and subject in _OUR_TROUBLE:
        return "other"
    return _STATUS.get(subject)


def category_of_code(code: int, enhanced: str | None) -> str:
    """
    Tell what is left to be told: by the subject of the enhanced status code, else by the reply code.
    """
    if enhanced is not None:
        return _SUBJECT.get(enhanced.split(".")[1], "other")
    return _CODE.get(code, "other")
