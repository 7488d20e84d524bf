"""
The rules of the module `access`: how they are written, and which one counts for a client, a name, a login, a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Final, assert_never

import attrs

from empath.mail.reply import Reply
from empath.modules import Verdict, accept, discard, disconnect, refuse
from empath.modules.files import each_line
from empath.policy.patterns import AddressTable, NameTable, NetworkTable, Table


class Act(Enum):
    """
    What a rule does.
    """

    ALLOW = "allow"
    DENY = "deny"
    TEMPFAIL = "tempfail"
    DISCONNECT = "disconnect"
    DISCARD = "discard"
    HOLD = "hold"


ACTS: Final = tuple(act.value for act in Act)
OF_SESSION: Final = ("client", "ehlo", "login")
SUBJECTS: Final = (*OF_SESSION, "sender", "recipient")
LASTING: Final = frozenset({Act.ALLOW, Act.HOLD})  # of a session: they concern its transactions, too
REPLIES: Final = {
    Act.DENY: "554 5.7.1 access denied",
    Act.TEMPFAIL: "450 4.7.1 access denied for now, try again later",
    Act.DISCONNECT: "421 4.7.0 closing connection",
}
CLASSES: Final = {Act.DENY: (5,), Act.TEMPFAIL: (4,), Act.DISCONNECT: (4, 5)}
NOT_NOW: Final = "421 4.7.1 access denied for now, try again later"  # as a greeting, where 450 is unheard of
_RULE: Final = re.compile(r'(\S+)\s+(\S+)\s+(\S.*?)(?:\s+"([^"]*)")?')


@attrs.frozen(slots=True)
class Rule:
    """
    What one line says is to be done. `reply` is "" where the peer hears success; `why` is the operator's reason.
    """

    act: Act
    subject: str
    reply: str = ""
    why: str = ""

    def verdict(self, value: object) -> Verdict | None:
        """
        Give the verdict on what matched; a hold is none.
        """
        why = self.reason(value)
        match self.act:
            case Act.ALLOW:
                return accept(why)
            case Act.DENY | Act.TEMPFAIL:
                return refuse(self.reply, why)
            case Act.DISCONNECT:
                return disconnect(self.reply, why)
            case Act.DISCARD:
                return discard(why)
            case Act.HOLD:
                return None
            case _:
                assert_never(self.act)

    def reason(self, value: object) -> str:
        """
        Say why, for the operator.
        """
        matched = f"{self.act.value} {self.subject} {'<>' if value is None else value}"
        return f"{matched}: {self.why}" if self.why else matched


class Rules:
    """
    All rules, by what they are about. `lasting` are those subjects of the session, in their order, of which a rule
    concerns its transactions, too.
    """

    __slots__ = ("_known", "client", "ehlo", "lasting", "login", "recipient", "sender")

    def __init__(self) -> None:
        self.client: NetworkTable[Rule] = NetworkTable()
        self.ehlo: NameTable[Rule] = NameTable()
        self.login: NameTable[Rule] = NameTable()
        self.sender: AddressTable[Rule] = AddressTable()
        self.recipient: AddressTable[Rule] = AddressTable()
        self.lasting: tuple[str, ...] = ()
        self._known: dict[tuple[str, str, str], Rule] = {}

    def __len__(self) -> int:
        return sum(map(len, (self.client, self.ehlo, self.login, self.sender, self.recipient)))

    def add(self, line: str) -> None:
        """
        Add a rule such as 'deny client 192.0.2.0/24 "550 5.7.1 go away"'; ValueError if it is none.
        """
        match = _RULE.fullmatch(line)
        if match is None:
            raise ValueError("a rule is: action subject pattern, and maybe a text in double quotes")
        act, subject, pattern, text = match.groups("")
        rule = self._known.get((act, subject, text)) or _rule(act, subject, text)
        self._known[act, subject, text] = rule  # a list of a million has few different ones
        if subject in ("ehlo", "login") and len(pattern.split()) > 1:
            raise ValueError(f"a name has no blanks: {pattern!r}")
        if subject == "ehlo":
            _check_greeting(pattern)
        table: Table[Rule] = getattr(self, subject)
        table.add(pattern, rule)
        if subject in OF_SESSION and rule.act in LASTING and subject not in self.lasting:
            self.lasting = tuple([each for each in OF_SESSION if each in (*self.lasting, subject)])

    def of_session(self, subject: str, value: str) -> Rule | None:
        """
        Find the rule about one of what a session has; none about what it does not have.
        """
        if subject == "client":
            return self.client.find(value)
        if not value:
            return None
        return self.find_ehlo(value) if subject == "ehlo" else self.login.find(value)

    def find_ehlo(self, name: str) -> Rule | None:
        """
        Find the rule about what a client calls itself, with a final dot or without.
        """
        return self.ehlo.find(name.removesuffix("."))


def read_rules(lines: Iterable[tuple[int, str]], own: Iterable[str] = ()) -> Rules:
    """
    Make rules of those `own` ones that are known to be right, and of numbered lines behind them; ValueError tells every
    line that is wrong.
    """
    rules = Rules()
    for line in own:
        rules.add(line)
    each_line(lines, rules.add)
    return rules


def _check_greeting(pattern: str) -> None:
    """
    Raise ValueError for a pattern of EHLO names that would match none.
    """
    if not pattern.isascii():
        raise ValueError(f"clients spell their names in ASCII (xn--…): {pattern!r}")
    if pattern.endswith("."):
        raise ValueError(f"names are compared without their final dot: {pattern!r}")


def _rule(act: str, subject: str, text: str) -> Rule:
    """
    Make what a line does, apart from its pattern.
    """
    if act not in ACTS:
        raise ValueError(f"unknown action {act!r}: {', '.join(ACTS)}")
    if subject not in SUBJECTS:
        raise ValueError(f"unknown subject {subject!r}: {', '.join(SUBJECTS)}")
    done = Act(act)
    if done not in REPLIES:
        return Rule(done, subject, why=text)
    usual = NOT_NOW if done is Act.TEMPFAIL and subject == "client" else REPLIES[done]
    reply = Reply.of(text or usual)
    if reply.code // 100 not in CLASSES[done]:
        raise ValueError(f"{act} needs a {' or '.join(f'{digit}yz' for digit in CLASSES[done])} reply, not {text!r}")
    return Rule(done, subject, reply=str(reply))
