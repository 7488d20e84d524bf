"""
What the answer of a hook means for each recipient.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from empath.mail.envelope import Recipient
from empath.mail.outcome import Custody, Outcome, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.net.web_answer import WebAnswer

_TOLD: Final = 200  # characters of an answer that are repeated
_LATER: Final = MappingProxyType(  # of 4yz those that pass, and of 5yz those that say more than that there is trouble
    {
        401: (451, "4.3.5"),  # who we are is what the operator has to mend; no mail is to blame
        404: (451, "4.3.5"),  # nor where we are sent: a deployment that went wrong must not return the queue
        405: (451, "4.3.5"),
        407: (451, "4.3.5"),
        410: (451, "4.3.5"),
        408: (451, "4.4.2"),
        425: (451, "4.3.0"),
        429: (451, "4.7.1"),
        502: (451, "4.4.1"),
        503: (451, "4.3.2"),
        504: (451, "4.4.2"),
        507: (452, "4.3.1"),
    }
)
_NEVER: Final = MappingProxyType({403: (550, "5.7.1"), 413: (552, "5.3.4"), 415: (554, "5.6.1"), 422: (554, "5.6.0")})
_NONE: Final = object()  # no verdict; JSON's null would be one that cannot be read
UNREADABLE: Final = "the hook's answer cannot be read"


def outcomes_of(answer: WebAnswer, recipients: Sequence[Recipient], host: str, now: float) -> tuple[Outcome, ...]:
    """
    Tell an outcome for each of the recipients that a request was for.
    """
    if answer.code // 100 == 2:
        return _accepted(answer, recipients, host)
    return (_refused(answer, host, now),) * len(recipients)


def _refused(answer: WebAnswer, host: str, now: float) -> Outcome:
    """
    Say what an answer without success means: what a redirect names is not for us to believe.
    """
    code = answer.code
    if not code:  # what we found, and the host did not say
        if answer.doubtful:
            text = f"{answer.trouble}; the message may arrive more than once"
            return TransientFailure(_reply(421, "4.4.2", text), Scope.MESSAGE, doubtful=True)
        return TransientFailure(_reply(421, "4.4.1", answer.trouble), Scope.HOST)
    text = _told(answer)
    if 400 <= code < 500 and code not in _LATER:
        return PermanentFailure(_reply(*_NEVER.get(code, (550, "5.0.0")), text), Scope.MESSAGE, host)
    status = _LATER.get(code, (451, "4.3.0") if code >= 500 else (451, "4.3.5"))
    wait = _wait(answer.fields.get("retry-after", ""), now)
    return TransientFailure(_reply(*status, text), Scope.HOST, host, retry_after=wait)


def _accepted(answer: WebAnswer, recipients: Sequence[Recipient], host: str) -> tuple[Outcome, ...]:
    """
    Read the verdicts on single recipients, if there are any; whoever has none has the mail.
    """
    success = Success(_reply(250, "2.0.0", _told(answer)), host, Custody.DELIVERED)
    if answer.media_type != "application/json" or (answer.whole and not answer.body.strip()):
        return (success,) * len(recipients)
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        return (_unread(host, Scope.MESSAGE),) * len(recipients)
    verdicts = told.get("recipients") if isinstance(told, dict) else None
    if verdicts is None:
        return (success,) * len(recipients)
    if not isinstance(verdicts, dict):
        return (_unread(host, Scope.MESSAGE),) * len(recipients)
    folded = {text.casefold(): told for text, told in verdicts.items()}
    texts = [each.address.text for each in recipients]
    told_of = [verdicts.get(text, folded.get(text.casefold(), _NONE)) for text in texts]
    return tuple([success if told is _NONE else _verdict(told, host) for told in told_of])


def _verdict(told: Any, host: str) -> Outcome:
    """
    Read the verdict on one recipient: a reply as SMTP has it.
    """
    try:
        said = Reply.of(told)
        reply = _reply(said.code, said.enhanced, said.lines[0])
    except (ValueError, TypeError):
        return _unread(host, Scope.RECIPIENT)
    match reply.code // 100:
        case 2:
            return Success(reply, host, Custody.DELIVERED)
        case 4:
            return TransientFailure(reply, Scope.RECIPIENT, host)
        case 5:
            return PermanentFailure(reply, Scope.RECIPIENT, host)
    return _unread(host, Scope.RECIPIENT)


def _unread(host: str, scope: Scope) -> TransientFailure:
    return TransientFailure(Reply(451, "4.5.0", (UNREADABLE,)), scope, host)


def _told(answer: WebAnswer) -> str:
    """
    Spell an answer: "503 Service Unavailable: come back later".
    """
    try:
        text = f"{answer.code} {HTTPStatus(answer.code).phrase}"
    except ValueError:
        text = str(answer.code)
    if answer.media_type != "text/plain":
        return text
    said = answer.body[: 4 * _TOLD].decode("utf-8", "replace").strip().partition("\n")[0].strip()[:_TOLD]
    return f"{text}: {said}" if said else text


def _reply(code: int, enhanced: str | None, text: str) -> Reply:
    """
    Make a reply of what a server said, or may have said.
    """
    return Reply(code, enhanced, ("".join(c if c.isprintable() else "?" for c in text),))


def _wait(field: str, now: float) -> float:
    """
    Read Retry-After (RFC 9110 §10.2.3), in seconds from now; 0 for what is none.
    """
    if field.isascii() and field.isdigit():
        return float(field[:9])
    try:
        return max(0.0, parsedate_to_datetime(field).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0
