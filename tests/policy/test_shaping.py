"""
Requirements on what answers are taken to say of a site.
"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.outcome import Outcome, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.policy.shaping import ACCEPTED, ANSWERED, NOTHING, PAUSE, Patterns, Told


@attrs.frozen
class Rule:
    """
    One pattern of an operator.
    """

    match: str
    action: str = "slow"
    pause: float = 60.0


@attrs.frozen
class Section:
    """
    What an operator wrote.
    """

    enabled: bool = True
    patterns: tuple[Rule, ...] = ()


TAKEN = Success(Reply.of("250 2.0.0 Ok"), "mx.example.org")


def refused(text: str, scope: Scope = Scope.RECIPIENT, host: str = "mx.example.org") -> TransientFailure:
    """
    Make what a host said; "" for our own finding.
    """
    return TransientFailure(Reply.of(text), scope, host)


def told(*outcomes: Outcome, section: Section | None = None) -> tuple[Told, float]:
    """
    Judge outcomes; tell all but the reason.
    """
    return Patterns(section or Section()).judge(outcomes)[:2]


SLOW = (
    "421 4.7.0 [192.0.2.1 15] Our system has detected an unusual rate of unsolicited mail originating from your IP",
    "421 4.7.28 Gmail has detected this message",
    "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (AS761)",
    "432 4.3.2 Concurrent connections limit exceeded",
    "421 4.3.2 The maximum number of concurrent connections has exceeded a limit, closing transmission channel",
    "451 4.5.3 Too many messages in one session",
    "450 4.7.1 Error: too much mail from 192.0.2.1",
    "421 4.7.0 mx.example.org Error: too many connections from 192.0.2.1",
    "421 Too many concurrent SMTP connections from this IP address; please try again later.",
    "421 mwinf5c04 ME Too many connections, slow down. OFR004_104",
    "450 4.1.0 Throttled, try again later",
    "451 4.7.1 Ratelimit exceeded for this sender",
    "450 4.7.1 Connection frequency limited",
    "451 You are sending too fast",
    "421 4.3.0 Temporary System Problem",
    "421 go away",
)
PAUSES = (
    "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation.",
    "421 RP-001 (DC1) Unfortunately, some messages from 192.0.2.1 weren't sent.",
    "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints",
    "421 4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred",
    "421 4.7.1 Messages to user@icloud.com temporarily deferred [CS01]",
    "421 4.1.0 192.0.2.1 Throttled - try again later. RL000001",
    "451 4.7.1 IP temporarily blacklisted",
)
NO_WISH = (
    "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages",
    "452 4.2.2 The recipient's inbox is out of storage space",
    "452 4.5.3 Too many recipients",
    "451 4.7.1 Greylisting in action, please try again later",
    "421 4.7.1 Graylisted: too many connections",
    "450 4.7.1 Client host rejected: cannot find your reverse hostname",
    "452 4.3.4 Message size exceeds fixed limit",
    "451 4.7.1 Service unavailable - try again later",
    "450 mailbox of the user is over quota",
)


class WishTests(SynchronousTestCase):
    """
    Replies that ask for less, and those that only look so.
    """

    def test_the_words_of_big_providers_are_known(self) -> None:
        """
        What asks for less is heard, whatever the failure concerns; some ask for a pause.
        """
        for text in SLOW:
            self.assertEqual(told(refused(text)), (Told.SLOW_DOWN, 0.0), text)
        for text in PAUSES:
            self.assertEqual(told(refused(text)), (Told.SLOW_DOWN, PAUSE), text)

    def test_what_concerns_a_recipient_or_a_message_is_no_wish(self) -> None:
        """
        Full mailboxes, greylisting, too many recipients or bytes say nothing of the site.
        """
        for text in NO_WISH:
            self.assertEqual(told(refused(text)), (Told.ANSWERED, 0.0), text)

    def test_a_server_that_goes_down_does_not_ask_for_less(self) -> None:
        """
        Nor one that lost patience: a 421 without such words does.
        """
        for text in ("421 4.3.2 mx shutting down", "421 4.4.2 mx Error: timeout exceeded", "421 idle for too long"):
            self.assertEqual(told(refused(text, Scope.HOST)), (Told.UNREACHABLE, 0.0), text)

    def test_permanent_failures_ask_for_nothing(self) -> None:
        """
        Unless the operator has a pattern for them.
        """
        failure = PermanentFailure(Reply.of("550 5.7.1 too many connections"), Scope.MESSAGE, "mx.example.org")
        self.assertEqual(told(failure), (Told.ANSWERED, 0.0))
        section = Section(patterns=(Rule("TOO MANY CONN"),))
        self.assertEqual(told(failure, section=section), (Told.SLOW_DOWN, 0.0))

    def test_without_shaping_a_wish_is_a_failure(self) -> None:
        """
        So the circuit breaker counts it.
        """
        self.assertEqual(told(refused(SLOW[0]), section=Section(enabled=False)), (Told.UNREACHABLE, 0.0))


class OwnPatternTests(SynchronousTestCase):
    """
    What the operator wrote is looked at first.
    """

    def test_the_first_pattern_that_matches_counts(self) -> None:
        """
        In any case of letters, anywhere in the reply, its code included.
        """
        rules = (Rule("^451 4.7.1 greylist", "slow"), Rule("greylist", "pause", 90.0), Rule("too many", "ignore"))
        section = Section(patterns=rules)
        self.assertEqual(told(refused("451 4.7.1 Greylisted"), section=section), (Told.SLOW_DOWN, 0.0))
        self.assertEqual(told(refused("450 4.7.1 Greylisted"), section=section), (Told.SLOW_DOWN, 90.0))
        self.assertEqual(told(refused("421 too many connections", Scope.HOST), section=section), (Told.NOTHING, 0.0))
        self.assertEqual(told(refused("421 too fast", Scope.HOST), section=section), (Told.SLOW_DOWN, 0.0))

    def test_endless_replies_are_looked_at_in_part(self) -> None:
        """
        A peer's text costs no more than some microseconds, and the reason is bounded.
        """
        reply = Reply(450, "4.7.1", ("x" * 5000 + "needle",))
        section = Section(patterns=(Rule("needle"),))
        self.assertEqual(told(TransientFailure(reply, Scope.MESSAGE, "mx"), section=section), (Told.ANSWERED, 0.0))
        _, _, reason = Patterns(Section()).judge([TransientFailure(reply, Scope.HOST, "mx")])
        self.assertLess(len(reason), 1100)


class TroubleTests(SynchronousTestCase):
    """
    Failures that speak against a site, and those that do not.
    """

    def test_hosts_that_cannot_be_reached_or_fail_are_in_trouble(self) -> None:
        """
        By our own finding, or by their word about themselves.
        """
        own = refused("421 4.4.1 cannot connect: refused", Scope.HOST, "")
        self.assertEqual(Patterns(Section()).judge([own]), (Told.UNREACHABLE, 0.0, "421 4.4.1 cannot connect: refused"))
        self.assertEqual(told(refused("421 4.4.2 lost connection at DATA", Scope.SESSION, "")), (Told.UNREACHABLE, 0.0))
        found = Patterns(Section()).judge([refused("452 4.3.1 Insufficient system storage", Scope.HOST)])
        self.assertEqual(found[0], Told.UNREACHABLE)
        self.assertEqual(found[2], "mx.example.org said: 452 4.3.1 Insufficient system storage")

    def test_nobody_can_stop_the_mail_of_others(self) -> None:
        """
        DNS, routes, and what a domain wants of TLS say nothing of the hosts: anybody may point his domain to them.
        """
        for text in (
            "451 4.4.3 look-up of example.org MX failed: timeout",
            "451 4.4.4 no configured next hop has an address",
            "454 4.7.5 TLS handshake failed: certificate verify failed",
            "454 4.7.4 TLS is required, but the host does not offer it",
            "451 4.3.5 no way to deliver to the domain is configured",
            "421 4.3.2 this server is shutting down",
        ):
            self.assertEqual(told(refused(text, Scope.HOST, "")), (Told.NOTHING, 0.0), text)
        maybe_twice = refused("421 4.4.2 lost connection after the final dot", Scope.MESSAGE, "")
        self.assertEqual(told(maybe_twice), (Told.NOTHING, 0.0))
        never = PermanentFailure(Reply.of("550 5.4.4 no host"), Scope.HOST)
        self.assertEqual(told(never), (Told.NOTHING, 0.0))

    def test_answers_about_the_mail_show_that_the_site_works(self) -> None:
        """
        A refused recipient or message is no trouble of the site; beside a session that was lost it counts for nothing.
        """
        no = PermanentFailure(Reply.of("550 5.1.1 unknown"), Scope.RECIPIENT, "mx")
        self.assertEqual(Patterns(Section()).judge([no, no]), ANSWERED)
        lost = refused("421 4.4.2 lost connection at DATA", Scope.SESSION, "")
        self.assertEqual(Patterns(Section()).judge([no, lost])[0], Told.UNREACHABLE)
        self.assertEqual(Patterns(Section()).judge([]), NOTHING)


class MixedTests(SynchronousTestCase):
    """
    Several recipients in one attempt.
    """

    def test_success_outweighs_failure_and_a_wish_outweighs_success(self) -> None:
        """
        In any order; of several wishes the longest pause counts.
        """
        lost = refused("421 4.4.2 lost connection", Scope.SESSION, "")
        slow, pause = refused(SLOW[0]), refused(PAUSES[0])
        self.assertEqual(Patterns(Section()).judge([lost, TAKEN, lost]), ACCEPTED)
        self.assertEqual(told(TAKEN, slow, TAKEN), (Told.SLOW_DOWN, 0.0))
        self.assertEqual(told(slow, pause, slow), (Told.SLOW_DOWN, PAUSE))
        self.assertEqual(told(refused(NO_WISH[0]), lost), (Told.UNREACHABLE, 0.0))
