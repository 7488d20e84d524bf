"""
What a site's answers say about the site: that it takes mail, asks for less of it, is in trouble, or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Final, Protocol

from empath.mail.outcome import Failure, Outcome, Scope, Success, TransientFailure
from empath.mail.reply import Reply

IGNORE: Final = -1.0  # in place of a pause: the reply says nothing of the site
LONGEST: Final = 1000  # characters of a reply that are looked at


class Told(Enum):
    """
    What an attempt showed of its site.
    """

    ACCEPTED = "accepted"  # it took the mail
    SLOW_DOWN = "slow-down"  # it asked for less, or for a pause
    UNREACHABLE = "unreachable"  # a session or a host failed, and not for too much mail
    ANSWERED = "answered"  # it works, but said of the mail or its recipients that it does not take them
    NOTHING = "nothing"  # it was not asked, or its answer says nothing of it


class Rule(Protocol):
    """
    What the operator wrote: a reply that matches means `action`, "slow", "pause" or "ignore".
    """

    @property
    def match(self) -> str:
        """
        A regular expression.
        """

    @property
    def action(self) -> str:
        """
        What to do.
        """

    @property
    def pause(self) -> float:
        """
        For how many seconds nothing is sent, where the action is "pause".
        """


class Section(Protocol):
    """
    What the operator wrote of shaping.
    """

    @property
    def enabled(self) -> bool:
        """
        Whether sites are shaped at all; if not, one that asks for less has failed.
        """

    @property
    def patterns(self) -> Sequence[Rule]:
        """
        Looked at in their order, before those that are known.
        """


Judgement = tuple[Told, float, str]  # with the seconds of a pause, and why in one clause

ACCEPTED: Final[Judgement] = (Told.ACCEPTED, 0.0, "")
ANSWERED: Final[Judgement] = (Told.ANSWERED, 0.0, "")
NOTHING: Final[Judgement] = (Told.NOTHING, 0.0, "")

# Our own findings of a host: it cannot be connected to, was lost or timed out, broke the protocol; a folder of this
# machine is full or broken. All others concern the route, the DNS, or what a domain wants of TLS: whoever points his
# domain to the hosts of others must not be able to stop their mail.
OWN_FINDINGS: Final = frozenset({"4.4.1", "4.4.2", "4.5.0", "4.3.0", "4.3.1"})

# What looks like a wish for less mail and is none: it concerns one recipient or one message, or passes by itself.
# Gmail's 450 4.2.1 says that one mailbox gets too much; 452 4.5.3 is for the next transaction (RFC 5321 §4.5.3.1.10);
# greylisting asks for later, not for less.
IGNORED: Final = (
    r"^4\d\d 4\.2\.\d",
    r"too many recipients|recipients? limit",
    r"gr[ae]y-?\s?list",
    r"(mailbox|user|inbox|account|recipient)\b.{0,60}\b(quota|full|storage|over ?limit)|over ?quota|quota exceeded",
    r"\bsize\b.{0,40}\b(limit|exceed)|exceed.{0,40}\bsize\b",
)

# Refusals of everything from our address for a while: going on makes it worse. Microsoft: 4.7.65x and RP-00n; Yahoo
# and AOL: [TSnn], [TSSnn]; Apple: [CS01], [HM08]; Comcast: RL00000n.
PAUSED: Final = (
    r"^4\d\d 4\.7\.65\d\b",
    r"\brp-00[1-3]\b",
    r"\[tss?\d\d\]",
    r"\[(cs01|hm08)\]",
    r"\brl00000[1-3]\b",
    r"temporarily (blocked|blacklisted|rate[- ]?limited)",
)
PAUSE: Final = 300.0  # seconds

# Wishes for less. Gmail: 4.7.28 and "unusual rate"; Microsoft: 4.7.500 and "concurrent connections"; the Chinese
# providers: "frequency"; all the others say it in plain words.
SLOWED: Final = (
    r"^4\d\d 4\.7\.(28|500)\b",
    r"(rate|connections?|messages?|sessions?|volume|frequency)\b.{0,40}\blimit|limit(ed|ing)?\b.{0,40}\b(rate|frequency)",
    r"rate[- ]?limit|throttl|slow(ing)? down",
    r"too (many|much) (\w+ ){0,3}(connection|session|message|mail|e-?mail|deliver|traffic|request|transaction|command)",
    r"(too|so) (fast|quick(ly)?|frequent(ly)?|rapid(ly)?)",
    r"(unusual|excessive|high|unexpected) (\w+ )?(rate|volume|number|traffic|load)",
    r"(concurrent|simultaneous|parallel) (\w+ )?(connections?|sessions?)",
    r"(connection|sending|delivery) frequency",
    r"(server|system|service)\b.{0,20}\b(too )?(busy|overload(ed)?)|load (is )?too high",
)

# A 421 closes the connection for now (RFC 5321 §3.8). Without words for it that is a wish for less, too, unless the
# server says that it is going down or lost patience with a silent client.
CLOSING: Final = re.compile(r"shut(ting)?[- ]?down|restart|maintenance|timed?[- ]?out|\bidle\b")

# One by one, and in lower case: Python finds the beginning of such a pattern quickly, that of all in one it does not
# (30 instead of 160 microseconds for a reply of 150 characters).
KNOWN: Final = tuple(
    (re.compile(pattern), wish)
    for patterns, wish in ((IGNORED, IGNORE), (PAUSED, PAUSE), (SLOWED, 0.0))
    for pattern in patterns
)


class Patterns:
    """
    Reads answers by the operator's patterns and those that are known. A pattern is looked for anywhere in a reply,
    written "421 4.7.0 text", whatever the case; the operator's in 4yz and 5yz, the known ones in 4yz.
    """

    __slots__ = ("_enabled", "_own")

    def __init__(self, section: Section) -> None:
        self._enabled = section.enabled
        self._own = [(re.compile(rule.match, re.IGNORECASE), _wish(rule)) for rule in section.patterns]

    def judge(self, outcomes: Sequence[Outcome]) -> Judgement:
        """
        Tell what the outcomes of one attempt, a recipient each, show of the site; with how many seconds of a pause it
        asked for, and why.

        A wish for less counts more than success, as its site goes on to take mail; success more than failure.
        """
        worst = NOTHING
        for outcome in outcomes:
            if isinstance(outcome, Success):
                if worst[0] is not Told.SLOW_DOWN:
                    worst = ACCEPTED
                continue
            found = self._of_failure(outcome)
            if _WEIGHT[found[0]] > _WEIGHT[worst[0]] or (found[0] is worst[0] and found[1] > worst[1]):
                worst = found
        return worst

    def _of_failure(self, outcome: Failure) -> Judgement:
        """
        Judge one failure.
        """
        reply = outcome.reply
        if not outcome.host:  # our own finding
            if isinstance(outcome, TransientFailure) and _reaches_far(outcome) and reply.status in OWN_FINDINGS:
                return Told.UNREACHABLE, 0.0, str(reply)
            return NOTHING
        wish = self._wish_of(reply)
        if wish == IGNORE:
            return NOTHING if _reaches_far(outcome) else ANSWERED
        if wish is not None:
            told = Told.SLOW_DOWN if self._enabled else Told.UNREACHABLE
            return told, wish, f"{outcome.host} said: {str(reply)[:LONGEST]}"
        if isinstance(outcome, TransientFailure) and _reaches_far(outcome):
            return Told.UNREACHABLE, 0.0, f"{outcome.host} said: {str(reply)[:LONGEST]}"
        return ANSWERED

    def _wish_of(self, reply: Reply) -> float | None:
        """
        Tell the seconds of a pause that a reply asks for, 0.0 if only for less, IGNORE if it says nothing of the site;
        None if it is not known.
        """
        said = str(reply)[:LONGEST]
        for pattern, wish in self._own:
            if pattern.search(said):
                return wish
        if not reply.transient:
            return None
        said = said.lower()
        for pattern, wish in KNOWN:
            if pattern.search(said):
                return wish
        return 0.0 if reply.code == 421 and not CLOSING.search(said) else None


_WEIGHT: Final = {Told.NOTHING: 0, Told.ANSWERED: 1, Told.UNREACHABLE: 2, Told.ACCEPTED: 3, Told.SLOW_DOWN: 4}


def _wish(rule: Rule) -> float:
    """
    Tell what a rule makes of a reply: the seconds of a pause, 0.0 for going slower, or IGNORE.
    """
    match rule.action:
        case "ignore":
            return IGNORE
        case "pause":
            return rule.pause
        case _:
            return 0.0


def _reaches_far(outcome: Failure) -> bool:
    return outcome.scope in (Scope.SESSION, Scope.HOST)
