"""
A spam score from a library that blocks: it runs in a thread of the module's own, and no other session waits for it.

`scorer` names a function that takes a whole message as bytes and returns a number, in a library of your choice; the one
below only shows what it looks like. The score is kept in the message's metadata.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module

from zope.interface import implementer

from empath.modules import IContent, IModule, Session, Transaction, Verdict, blocking, refuse

KEY = "spam_score"
SHOUTING = re.compile(rb"[A-Z]{4,}|!{2,}|100 ?%|\$\d{3,}")


@implementer(IModule)
class SpamScore:
    """
    Refuses a message that scores `refuse_above` or more. One that is larger than `largest` octets is not judged: spam
    is small, and a large message lies in a file.
    """

    name = "spam-score"

    def __init__(
        self, scorer: str = "spam_score:shouting", refuse_above: float = 10.0, largest: int = 256 * 1024
    ) -> None:
        self.score = function(scorer)
        self.refuse_above = refuse_above
        self.largest = largest

    @blocking
    def data(self, session: Session, transaction: Transaction, content: IContent) -> Verdict | None:
        """
        Judge the content. In a thread a module reads what it is given, changes metadata, and returns a verdict; it
        leaves the rest alone.
        """
        if content.body is None or content.size > self.largest:
            return None
        score = self.score(content.header + content.body)
        transaction.metadata[KEY] = f"{score:.1f}"
        if score < self.refuse_above:
            return None
        return refuse("550 5.7.1 this looks like spam", why=f"score {score:.1f}")


def function(name: str) -> Callable[[bytes], float]:
    """
    Find the function of a dotted name ("package.module:function"); ValueError if there is none.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"scorer: {error}") from error
    if not callable(found):
        raise ValueError(f"scorer: {name!r} cannot be called")
    scorer: Callable[[bytes], float] = found
    return scorer


def shouting(message: bytes) -> float:
    """
    Score a message by how loud it is.
    """
    return float(len(SHOUTING.findall(message)))
