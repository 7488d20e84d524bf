"""
The latest failures: what they tell, and what they keep to themselves.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.message import RecipientState, Status
from empath.observe.life import LifeEvents
from empath.observe.status.failures import KEPT, LONGEST, Failures, without_local_parts
from tests.observe.made import QUEUE_ID, address, attempt_ended, state


class FailureTests(SynchronousTestCase):
    """
    Attempts as they end.
    """

    def setUp(self) -> None:
        self.events = LifeEvents()
        self.failures = Failures()
        self.leave = self.failures.listen(self.events)

    def fail(self, *results: RecipientState, status: Status = Status.RETRY) -> None:  # type: ignore[override]  # the field's
        """
        End an attempt badly.
        """
        self.events.emit(attempt_ended(*results, status=status))

    def test_tell_where_and_why(self) -> None:
        """
        One for an attempt, with its first bad recipient's reply, and how many it stands for.
        """
        bad = [state(f"{name}@dst.test", Status.FAILED, "550 5.1.1 no such user", "mx.dst.test") for name in "xyz"]
        self.fail(state(), *bad, status=Status.FAILED)
        [told] = self.failures.since(0)
        self.assertEqual((told.nth, told.time, told.status), (1, 1003.5, "failed"))
        self.assertEqual((told.queue_id, told.domain, told.host), (QUEUE_ID, "dst.test", "mx.dst.test"))
        self.assertEqual((told.reply, told.recipients), ("550 5.1.1 no such user", 3))

    def test_success_is_none(self) -> None:
        """
        Nor is an attempt of which nothing is known to have failed.
        """
        self.events.emit(attempt_ended(state()))
        self.fail(state(status=Status.PENDING), status=Status.PENDING)
        self.assertEqual((self.failures.since(0), self.failures.many), ([], 0))

    def test_only_the_latest_are_kept_and_told_once(self) -> None:
        """
        Whoever knows some is told the others.
        """
        for _ in range(KEPT + 5):
            self.fail(state(status=Status.RETRY, said="450 4.2.1 later"))
        self.assertEqual([each.nth for each in self.failures.since(0)], list(range(6, KEPT + 6)))
        self.assertEqual([each.nth for each in self.failures.since(KEPT + 3)], [KEPT + 4, KEPT + 5])

    def test_without_a_reply(self) -> None:
        """
        There is nothing to quote.
        """
        self.fail(state(status=Status.RETRY))
        self.assertEqual(self.failures.since(0)[0].reply, "")

    def test_names_nobody(self) -> None:
        """
        Neither recipient nor sender, however the host quotes them.
        """
        self.fail(state("bob@dst.test", Status.FAILED, "550 5.1.1 <Bob@dst.test> from a@src.test: user BOB unknown"))
        self.assertEqual(self.failures.since(0)[0].reply, "550 5.1.1 <…@dst.test> from …@src.test: user … unknown")

    def test_ends(self) -> None:
        """
        Once it left, nothing is kept any more.
        """
        self.leave()
        self.fail(state(status=Status.RETRY))
        self.assertEqual(self.failures.many, 0)


class HidingTests(SynchronousTestCase):
    """
    What strangers write.
    """

    def test_whatever_looks_like_an_address(self) -> None:
        """
        Quoted, with a tag, in brackets, percent-hacked, beyond ASCII.
        """
        for text, shown in (
            ("<a.b+c@x.test>", "<…@x.test>"),
            ('rejected: "a b"@x.test', "rejected: …@x.test"),
            ("(jürgen@x.test)", "(…@x.test)"),
            ("to=a%b@x.test,c@y.test", "…@x.test,…@y.test"),
            ("a@b@x.test", "…@…@x.test"),
            ("no address at all", "no address at all"),
        ):
            self.assertEqual(without_local_parts(text), shown)

    def test_known_names_are_hidden_as_words_only(self) -> None:
        """
        Not within others; a local part that is a pattern is taken literally.
        """
        self.assertEqual(without_local_parts("bob, bobby, BOB.", address("bob@x.test")), "…, bobby, ….")
        self.assertEqual(without_local_parts("what is a.b? axb", address("a.b@x.test"), None), "what is …? axb")

    def test_bounded_in_length_and_harmless(self) -> None:
        """
        A long reply is cut, never within an address; controls and direction overrides are spelled out.
        """
        self.assertEqual(len(without_local_parts("é" * 100_000)), LONGEST)
        for length in range(2 * LONGEST - 12, 2 * LONGEST + 2):
            self.assertNotIn("bob", without_local_parts(f"{'x' * LONGEST}@{'y' * (length - LONGEST - 1)} bob@x.test"))
        self.assertEqual(without_local_parts("a\u202eb\x9bc\x00"), "a\\u202eb\\x9bc\\x00")

    def test_what_is_made_to_be_slow_is_not(self) -> None:
        """
        No text takes long, as only a bounded part of it is looked at.
        """
        for text in ('"' * 100_000, '\\"' * 50_000, "a" * 100_000, '"a' * 50_000):
            self.assertLessEqual(len(without_local_parts(text, address('"@x.test'))), LONGEST)
