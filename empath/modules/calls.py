"""
One call of a hook: what it may leave behind, and what it may return.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from empath.interfaces import IJudgedContent
from empath.mail.decision import MOST, Decision
from empath.mail.envelope import Recipient
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.modules import envelope, metadata
from empath.policy.verdict import Action, Verdict

Marked = tuple[IJudgedContent, object] | None
"""
Content, and the mark of how it was.
"""


@attrs.define(slots=True, eq=False)
class Call:
    """
    One call of a hook: what it was about, and how that stood before; `began` is in seconds of the clock, `admitted` as
    its breaker told.
    """

    session: Session
    began: float
    admitted: int
    metadata: dict[str, str]
    transaction: Transaction | None = None
    transaction_metadata: dict[str, str] = attrs.field(factory=dict)
    recipients: list[Recipient] = attrs.field(factory=list)
    state: tuple[Any, ...] = ()
    marked: Marked = None

    @property
    def name(self) -> str:
        """
        What the call is about, as the log names it.
        """
        return name_of(self.session if self.transaction is None else self.transaction)

    def note(self, decision: Decision) -> None:
        """
        Keep what was decided with what it was about.
        """
        about = self.session if self.transaction is None else self.transaction
        kept = getattr(about, "decisions", ())
        if not isinstance(kept, tuple):  # a module spoilt it
            kept = ()
        if len(kept) < MOST:
            about.decisions = (*kept, decision)

    def mend(self, routed: Callable[[str], bool]) -> str:
        """
        Look at what the module left behind, and take back what is too much metadata; tells what was wrong, "" for
        nothing. `routed` tells whether mail can be redirected to a name.
        """
        why = mended(self.session, self.metadata)
        if self.transaction is not None:
            why = mended(self.transaction, self.transaction_metadata) or why
            try:
                why = envelope.unusable(self.transaction, self.recipients, self.state, routed) or why
            except Exception as error:  # an attribute is gone, or what is there cannot be looked at
                why = f"an envelope that cannot be used: {text_of(error)}"
        return why

    def put_back(self) -> None:
        """
        Put envelope and header block back to what they were: half of a change is none.
        """
        if self.marked is not None:
            content, mark = self.marked
            content.put_back(mark)
        if self.transaction is not None:
            envelope.put_back(self.transaction, self.recipients, self.state)


def name_of(subject: object) -> str:
    """
    Name, for the log, what a hook is told of: a transaction and a message by the queue id, though a module may have
    taken that away; "" for what is neither of a message nor of a session.
    """
    if isinstance(subject, Session):
        return f"session {subject.session_id}"
    return str(getattr(subject, "queue_id", "?" if isinstance(subject, Transaction) else ""))


def mended(subject: Session | Transaction, before: dict[str, str]) -> str:
    """
    Take back from metadata what is too much, or no text; tells what was wrong.
    """
    try:
        if subject.metadata == before:
            return ""
        if isinstance(subject.metadata, dict):
            return metadata.mend(subject.metadata, before)
        why = f"metadata is no dict but {type(subject.metadata).__name__}"
    except Exception as error:  # it is gone, or holds what cannot be looked at
        why = f"metadata that cannot be used: {text_of(error)}"
    subject.metadata = before.copy()
    return why


def unusable(came: Any) -> str:
    """
    Tell why something is no answer, "" if it is one.
    """
    if came is None:
        return ""
    if not isinstance(came, Verdict):
        kind = type(came).__name__
        return f"returned no verdict but {kind}: return None, or what refuse(), tempfail() and the like give"
    if not isinstance(came.action, Action) or not isinstance(came.why, str):
        return "returned a verdict that is none"
    if came.reply is not None and not (isinstance(came.reply, Reply) and came.reply.code >= 400):
        return "returned a verdict whose reply is no refusal"
    return ""


def text_of(error: BaseException | None) -> str:
    """
    Tell an exception in one line, however its text is made.
    """
    try:
        text = " ".join(str(error).split())
    except BaseException:
        text = "?"
    return f"{type(error).__name__}: {text}"[:500]
