"""
What a report says to a person: what happened, to whom, what the other side said, what can be done.
"""

from __future__ import annotations

import re
from textwrap import wrap
from typing import Final

from empath.mail.message import Message, RecipientState, Status
from empath.mail.notice import Action, Notice
from empath.mail.reply import Reply
from empath.mail.trace import format_date

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_WIDTH: Final = 72
_LONGEST: Final = 900  # RFC 5322 §2.1.1: no line over 998
_MOST: Final = 50  # recipients of whom more is said than a number, for each thing that was done

_ADVICE: Final = {  # by subject and detail, then subject alone, of the enhanced status code (RFC 3463)
    "1.1": "Check the address for mistakes in the part before the @, and send the message again.",
    "1.2": "Check the address for mistakes in the part after the @, and send the message again.",
    "1.10": "This domain takes no mail at all. Check the part after the @, or reach the recipient another way.",
    "1": "Check the address for mistakes, and send the message again.",
    "2.2": "The mailbox is full. Let the recipient know another way, or send the message again later.",
    "2": "Something is wrong with this mailbox. Let the recipient know another way, or send the message again later.",
    "3.4": "The message is too large. Send less at a time, or share large files another way.",
    "3": "The recipient's mail system could not take the message. Send it again later.",
    "4.7": "The message was not delivered in the time that was set for it. Send it again if it still matters.",
    "4": "The recipient's mail system could not be reached. Check the part after the @, or send it again later.",
    "6": "The recipient's mail system cannot take a message of this form. Send it as plain text.",
    "7": "The recipient's mail system refused the message by its rules. Its administrators can tell why.",
}
_NO_ADVICE: Final = "Reach the recipient another way, or ask your postmaster for help."


_TOLD: Final = {
    Action.FAILED: (
        "It could not be delivered to the recipients below. It will not be tried again for them; delivery to any "
        "others is not affected."
    ),
    Action.RELAYED: (
        "It was passed on for the recipients below. The mail system that has it now may not tell when mail arrives: "
        "you may hear of it again only if it cannot be delivered."
    ),
    Action.EXPANDED: (
        "It was passed on to all that the addresses below stand for. Whether it arrives there is not told, but you may "
        "hear of it if it cannot be delivered."
    ),
    Action.DELIVERED: "It was delivered to the mailboxes of the recipients below.",
}


def explanation(message: Message, notices: tuple[Notice, ...], mta: str, *, whole: bool) -> str:
    """
    Write the first part of a report, lines ended by CRLF. `whole` tells that all of the message comes back with it.
    """
    arrived = format_date(message.received)
    paragraphs = [
        wrap(f"This is the mail system at {_clean(mta)}.", _WIDTH),
        wrap(
            f"This is about the message that you sent, received here on {arrived} under the queue id "
            f"{message.queue_id}.",
            _WIDTH,
        ),
    ]
    for action in Action:
        told = [notice for notice in notices if notice.action is action]
        if told:
            paragraphs.append(wrap(_told(action, told), _WIDTH))
            paragraphs += [_about(notice) for notice in told[:_MOST]]
            if len(told) > _MOST:
                more = f"And {len(told) - _MOST} more: the report for mail programs names all."
                paragraphs.append(wrap(more, _WIDTH))
    returned = "your message" if whole else "the header of your message"
    paragraphs.append(wrap(f"A report for mail programs follows, and then {returned}.", _WIDTH))
    return "\r\n\r\n".join("\r\n".join(lines) for lines in paragraphs) + "\r\n"


def _told(action: Action, told: list[Notice]) -> str:
    if action is not Action.DELAYED:
        return _TOLD[action]
    until = max(notice.until or 0.0 for notice in told)
    return (
        "It is late: it has not been delivered to the recipients below in the time that was set for it. You need not "
        f"send it again: it is tried until {format_date(until)}, and you will hear if it cannot be delivered by then."
    )


def _about(notice: Notice) -> list[str]:
    state = notice.state
    lines = [f"<{_clean(state.address.text)[:_LONGEST]}>"]
    lines += _indented(_event(state))
    if notice.action is Action.FAILED and state.reply is not None:
        lines += _indented("What to do: " + _ADVICE.get(*_key(state.reply)))
    return lines


def _event(state: RecipientState) -> str:
    reply = "no reply is known" if state.reply is None else _clean(str(state.reply))
    if state.host:
        said = f"{_clean(state.host)} said: {reply}"
    else:
        said = f"{'the reply' if state.status is Status.COMPLETED else 'the reason'}: {reply}"
    if state.status is Status.PENDING and state.reply is None:
        return "It could not be tried yet."
    if state.status is Status.RETRY:
        return f"At the last attempt, {said}"
    if state.status is Status.EXPIRED and (state.reply is None or state.reply.transient):
        return f"It was tried for as long as is allowed. At the last attempt, {said}"
    return said if state.host else said[0].upper() + said[1:]


def _key(reply: Reply) -> tuple[str, str]:
    """
    Give the advice's key for the whole code, and the advice that stands in where it has none.
    """
    _, subject, detail = reply.status.split(".")
    return f"{subject}.{detail}", _ADVICE.get(subject, _NO_ADVICE)


def _indented(text: str) -> list[str]:
    return wrap(text, _WIDTH, initial_indent="    ", subsequent_indent="    ")


def _clean(text: str) -> str:
    return _CONTROL.sub("?", text)
