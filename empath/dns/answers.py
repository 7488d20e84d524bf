"""
From what a server told to the answer that others get.
"""

from __future__ import annotations

from empath.dns.question import Question
from empath.dns.told import BOGUS, Failed, Heard
from empath.mail.answer import Answer, Found, Security


def answer_of(question: Question, told: Heard | Failed, expires: float) -> Answer:
    """
    Make the answer to a question as it was asked, aliases or not.
    """
    if not isinstance(told, Heard):
        detail = f"{told.kind}: {told.why}"
        return Answer(*question.key, Found.FAILED, expires=expires, security=security_of(told), detail=detail)
    return Answer(
        *question.key,
        told.found,
        told.mx,
        told.addresses,
        expires,
        told.security,
        told.detail,
        told.texts,
        told.tlsa,
        told.canonical,
    )


def security_of(told: Heard | Failed) -> Security:
    """
    Tell what it is worth; a failure is only ever bogus or nothing.
    """
    if isinstance(told, Heard):
        return told.security
    return Security.BOGUS if told.kind == BOGUS else Security.UNCHECKED
