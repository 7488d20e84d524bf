"""
The seam between the control server and those who answer: small tables of what each part can be asked.

The server knows requests, callers and these tables, and nothing of queues, spools or resolvers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from empath.control.terms.asking import Ask
from empath.errors import EmpathError


@attrs.frozen(slots=True)
class Caller:
    """
    Who asks: the user id and process id that the kernel tells of the peer (None where it does not), the user's name
    ("" if it has none), and the name of the token, "" without one.
    """

    uid: int | None
    pid: int | None
    user: str = ""
    token: str = ""

    def __str__(self) -> str:
        """
        Give what goes to the audit trail as the actor: "token ops (root, uid 0)", "root (uid 0)".
        """
        who = f"uid {self.uid}" if self.user == "" else f"{self.user}, uid {self.uid}"
        return f"token {self.token} ({who})" if self.token else who


class Refused(EmpathError):
    """
    What was asked cannot be done, and the caller is to hear why: `problems` in one sentence each, for people.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class NotFound(Refused):
    """
    What was asked about is not there.
    """


@attrs.frozen(slots=True, eq=False)
class Call:
    """
    One request that is being answered. `tell` takes pieces of the answer of a `Follow` and may be called at any time
    until the answer: it gives an Awaitable once the peer is behind, and who has much to tell waits for it.
    """

    caller: Caller
    tell: Callable[[object], Awaitable[None] | None]


Answer = Callable[[Any, Call], Any]
"""
Answers one kind of request, at once or by an Awaitable (cancelled when the peer is gone, or its time is over). Raises
Refused or NotFound for what the caller is to hear; anything else is a fault of ours.
"""

Answers = Mapping[type[Ask[Any]], Answer]
"""
What a part can be asked.
"""
