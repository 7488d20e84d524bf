"""
Tests for the categories of failures.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import BounceCategory
from empath.mail.reply import Reply
from empath.policy import bounce_codes, bounce_words
from empath.policy.bounce import Category, Classifier
from empath.policy.phrases import Words
from empath.policy.suppressed import refusal_of
from empath.policy.verbs import BOUNCED

PEER = "mx.example.net"


def replies() -> list[tuple[str, str]]:
    lines = (Path(__file__).parent / "bounce_replies.txt").read_text(encoding="utf-8").splitlines()
    table = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    return [(category, reply) for category, reply in table]


def heard(text: str) -> Reply:
    return Reply.heard(int(text[:3]), [text[4:]])


class CategoryTests(SynchronousTestCase):
    """
    Tests for `Classifier`.
    """

    def test_what_receivers_say(self) -> None:
        """
        Replies of big receivers and of the usual programs have the category that a postmaster would give them.
        """
        classifier = Classifier()
        table = replies()
        self.assertGreater(len(table), 150)
        for wanted, text in table:
            self.assertEqual((classifier.category_of(heard(text), PEER), text), (wanted, text))

    def test_the_words_are_those_of_the_configuration(self) -> None:
        """
        Every category can be configured, and nothing else is ever told.
        """
        words = {category.value for category in Category}
        self.assertEqual(words, set(get_args(BounceCategory)))
        tables = {*bounce_codes._STATUS.values(), *bounce_codes._SUBJECT.values(), *bounce_codes._CODE.values()}
        self.assertLessEqual(tables, words)
        self.assertLessEqual({kind for kind, _ in (*bounce_words._PLAIN, *bounce_words._VAGUE)}, words)

    def test_addresses_do_not_count(self) -> None:
        """
        What an address is called says nothing of why it was refused.
        """
        classifier = Classifier()
        for text in (
            "550 5.1.1 <spam@quota.example>: Recipient address rejected: User unknown",
            "550 5.1.1 <virus+greylisted@relay.example> no such user",
        ):
            self.assertEqual(classifier.category_of(heard(text), PEER), "bad-mailbox")

    def test_patterns_come_first(self) -> None:
        """
        An operator's patterns outrank what we know, the first one that matches counts, in any case of letters, and all
        of the reply is looked at, codes and addresses too.
        """
        classifier = Classifier([(r"no such user", "policy"), (r"^550 5\.1\.1 .*ann@", "blocked"), ("550", "loop")])
        self.assertEqual(classifier.category_of(heard("550 5.1.1 NO SUCH USER"), PEER), "policy")
        self.assertEqual(classifier.category_of(heard("550 5.1.1 <ann@example.org> unknown"), PEER), "blocked")
        self.assertEqual(classifier.category_of(heard("550 5.2.2 full"), ""), "loop")
        self.assertEqual(classifier.category_of(heard("452 4.2.2 full"), ""), "quota")
        self.assertRaises(ValueError, Classifier, [("(", "loop")])

    def test_our_own_findings_go_by_their_codes(self) -> None:
        """
        What no peer said is told by its code: of security, it is about TLS, unless we did not want to, and trouble
        with our own disks and settings is no other host's; words do not mislead.
        """
        classifier = Classifier()
        for text, wanted in (
            ("550 5.1.2 the domain does not exist", "bad-domain"),
            ("556 5.1.10 the domain accepts no mail (null MX)", "bad-domain"),
            ("550 5.4.4 no host of the domain has an address", "dns"),
            ("451 4.4.3 DNS lookup failed", "dns"),
            ("451 4.7.5 the MTA-STS policy cannot be had now", "tls"),
            ("550 5.7.30 the sender requires TLS all the way", "tls"),
            ("554 5.4.7 Delivery time expired; the last reply was: 452 4.2.2 mailbox full", "expired"),
            ("554 5.4.6 mail for the domain loops back to this host", "loop"),
            ("421 4.4.1 cannot connect", "connection"),
            ("552 5.3.4 larger than the next hop takes", "message-size"),
            ("554 5.6.3 conversion is not possible", "protocol"),
            ("451 4.3.5 no maildir is configured", "other"),
            ("451 4.3.5 the message cannot be signed now", "other"),
            ("451 4.3.0 Temporary local problem, delivery is tried again", "other"),
            ("452 4.3.1 no room in the folder", "other"),
            (str(refusal_of("complaint")), "policy"),
            (str(refusal_of("bad-mailbox")), "bad-mailbox"),
            (str(refusal_of("lost connection")), "policy"),
            (str(BOUNCED.reply), "policy"),
        ):
            self.assertEqual((classifier.category_of(heard(text)), text), (wanted, text))

    def test_what_expired(self) -> None:
        """
        What was tried for too long has the category of its last reply where that says why, else "expired".
        """
        classifier = Classifier()
        self.assertEqual(classifier.category_of(heard("452 4.2.2 mailbox full"), PEER, expired=True), "quota")
        self.assertEqual(classifier.category_of(heard("450 4.0.0 hm"), PEER, expired=True), "expired")
        self.assertEqual(classifier.category_of(heard("450 4.0.0 hm"), PEER), "other")
        self.assertEqual(classifier.category_of(None, expired=True), "expired")
        self.assertEqual(classifier.category_of(None), "other")

    def test_phrases_in_parts(self) -> None:
        """
        The parts of a phrase count in their order only.
        """
        words = Words([("quota", "box*full | ~b~ ")])
        self.assertEqual([words.find(text) for text in ("box is full", "full box", "box")], ["quota", None, None])
        self.assertEqual([words.find(text) for text in ("a b c", "abc")], ["quota", None])

    def test_memory_is_bounded(self) -> None:
        """
        However many different replies come, only so many answers are kept.
        """
        classifier = Classifier()
        for number in range(1001):
            classifier.category_of(heard(f"550 5.1.1 {number}"), PEER)
        self.assertLessEqual(len(classifier._known), 1000)
