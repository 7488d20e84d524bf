"""
Requirements on a site: what holds its mail back, and what its answers change.
"""

from __future__ import annotations

import json
import random

from twisted.trial.unittest import SynchronousTestCase

from empath.policy.breaker import State
from empath.policy.hold import Why
from empath.policy.shaping import Told
from empath.policy.site import BreakerChange, Change, Limits, PaceChange, Site

NOW = 1_800_000_000.0
NAME = "mx.example.org"


def site(limits: Limits | None = None) -> Site:
    """
    Make one without limits, or with some.
    """
    return Site(NAME, limits or Limits())


def failed(made: Site, times: int, now: float = NOW) -> tuple[Change, ...]:
    """
    Have attempts fail, one after the other; tell what changed.
    """
    changes: tuple[Change, ...] = ()
    for _ in range(times):
        made.begin(now)
        changes += made.ended(now, Told.UNREACHABLE, 0.0, "cannot connect")
    return changes


class LimitTests(SynchronousTestCase):
    """
    What the operator allows.
    """

    def test_without_limits_nothing_holds(self) -> None:
        """
        Any number begins, and nothing is remembered.
        """
        made = site()
        for _ in range(500):
            self.assertIs(made.hold(NOW), None)
            self.assertEqual(made.begin(NOW), ())
        self.assertEqual(made.in_flight, 500)
        self.assertEqual(made.ended(NOW, Told.ACCEPTED), ())
        self.assertEqual(made.ended(NOW, Told.NOTHING), ())
        self.assertEqual((made.in_flight, made.failing, made.shaped, made.dump()), (498, False, (None, None), None))

    def test_connections_are_limited(self) -> None:
        """
        Until one ends.
        """
        made = site(Limits(max_connections=2))
        made.begin(NOW)
        self.assertIs(made.hold(NOW), None)
        made.begin(NOW)
        hold = made.hold(NOW)
        assert hold is not None
        self.assertEqual((hold.why, hold.until), (Why.CONNECTIONS, None))
        self.assertEqual(hold.detail, "2 of 2 connections to mx.example.org are in use")
        made.ended(NOW, Told.NOTHING)
        self.assertIs(made.hold(NOW), None)

    def test_the_rate_is_limited(self) -> None:
        """
        Until a token is there; the number of connections counts as well.
        """
        made = site(Limits(count=60, seconds=60.0, burst=2, max_connections=3))
        for _ in range(2):
            self.assertIs(made.hold(NOW), None)
            made.begin(NOW)
        hold = made.hold(NOW)
        assert hold is not None and hold.until is not None
        self.assertIs(hold.why, Why.RATE)
        self.assertAlmostEqual(hold.until, NOW + 1.0, 5)
        for before, seconds in ((0, 1.0), (4, 5.0)):
            self.assertAlmostEqual(made.rate_wait(NOW, before), seconds, 5, str(before))
        self.assertIs(made.hold(hold.until), None)
        made.begin(hold.until)
        hold = made.hold(NOW + 9.0)
        assert hold is not None
        self.assertIs(hold.why, Why.CONNECTIONS)

    def test_limits_change_while_it_runs(self) -> None:
        """
        How it fares stays; without shaping nothing is left of that.
        """
        made = site(Limits(threshold=1))
        made.begin(NOW)
        made.ended(NOW, Told.SLOW_DOWN, 60.0, "slow down")
        failed(made, 1)
        made.use(Limits(max_connections=1, shaping=False), NOW)
        self.assertEqual((made.breaker.state, made.shaped), (State.OPEN, (None, None)))
        made.reset(NOW)
        made.begin(NOW)
        self.assertIsNot(made.hold(NOW), None)
        made.use(Limits(), NOW)
        self.assertIs(made.hold(NOW), None)


class BreakerTests(SynchronousTestCase):
    """
    Sites that fail.
    """

    def test_it_opens_and_is_tried_again(self) -> None:
        """
        Each step is told, with the reason; mail waits until it is tried, and for those who try.
        """
        made = site(Limits(shaping=False))
        self.assertEqual(failed(made, 4), ())
        self.assertTrue(made.failing)
        self.assertEqual(failed(made, 1), (BreakerChange(State.OPEN, "cannot connect; its mail waits for 300 s"),))
        hold = made.hold(NOW + 299.0)
        assert hold is not None
        self.assertEqual((hold.why, hold.until), (Why.BREAKER, NOW + 300.0))
        (change,) = made.begin(NOW + 300.0)
        self.assertEqual(change, BreakerChange(State.HALF_OPEN, "its time is over, mx.example.org is tried again"))
        for _ in range(2):
            self.assertIs(made.hold(NOW + 300.0), None)
            self.assertEqual(made.begin(NOW + 300.0), ())
        hold = made.hold(NOW + 300.0)
        assert hold is not None
        self.assertEqual((hold.why, hold.until), (Why.BREAKER, None))
        self.assertEqual(hold.detail, "mx.example.org failed, and is tried with 3 at a time until it works")
        recovered = made.ended(NOW + 301.0, Told.ACCEPTED)
        self.assertEqual(recovered, (BreakerChange(State.CLOSED, "mx.example.org accepts mail again"),))
        self.assertEqual((made.failing, made.hold(NOW + 301.0)), (False, None))

    def test_a_site_that_is_tried_and_answers_is_no_longer_left_alone(self) -> None:
        """
        Even if it takes none of the mail that it is tried with; failures that did not open anything are not forgiven.
        """
        made = site(Limits(threshold=2, shaping=False))
        failed(made, 1)
        made.begin(NOW)
        self.assertEqual(made.ended(NOW, Told.ANSWERED), ())
        self.assertTrue(made.failing)
        failed(made, 1)
        made.begin(NOW + 301.0)
        back = made.ended(NOW + 302.0, Told.ANSWERED)
        self.assertEqual(back, (BreakerChange(State.CLOSED, "mx.example.org answers again"),))
        self.assertEqual((made.failing, made.hold(NOW + 302.0)), (False, None))

    def test_a_success_forgives_failures(self) -> None:
        """
        Also where nothing had opened.
        """
        made = site(Limits(threshold=2, shaping=False))
        for _ in range(3):
            self.assertEqual(failed(made, 1), ())
            made.begin(NOW)
            self.assertEqual(made.ended(NOW, Told.ACCEPTED), ())
            self.assertFalse(made.failing)

    def test_answers_that_say_nothing_of_it_change_nothing(self) -> None:
        """
        Nor does a wish for less, which is for shaping; without shaping that is a failure.
        """
        made = site(Limits(threshold=1))
        made.begin(NOW)
        self.assertEqual(made.ended(NOW, Told.NOTHING), ())
        made.begin(NOW)
        made.ended(NOW, Told.SLOW_DOWN, 0.0, "slow down")
        self.assertEqual((made.failing, made.breaker.state), (False, State.CLOSED))
        made = site(Limits(threshold=1, shaping=False))
        made.begin(NOW)
        self.assertEqual(
            made.ended(NOW, Told.SLOW_DOWN, 60.0, "slow down"),
            (BreakerChange(State.OPEN, "slow down; its mail waits for 300 s"),),
        )

    def test_an_operator_can_reset_it(self) -> None:
        """
        What changes by it is told; nothing, if nothing does.
        """
        made = site(Limits(threshold=1))
        self.assertEqual(made.reset(NOW), ())
        failed(made, 1)
        why = "an operator reset it"
        self.assertEqual(made.reset(NOW), (BreakerChange(State.CLOSED, why), PaceChange(None, None, why)))
        self.assertEqual((made.hold(NOW), made.failing), (None, False))


class ShapingTests(SynchronousTestCase):
    """
    Sites that ask for less.
    """

    def busy(self) -> Site:
        """
        Make a site that took a hundred in two seconds, and has two under way.
        """
        made = site()
        for n in range(100):
            made.begin(NOW - 2.0 + n * 0.02)
            made.ended(NOW - 2.0 + n * 0.02, Told.ACCEPTED)
        made.begin(NOW)
        made.begin(NOW)
        return made

    def test_it_gets_less_and_the_hold_says_why(self) -> None:
        """
        The rate, or connections, or a pause.
        """
        made = self.busy()
        (change,) = made.ended(NOW, Told.SLOW_DOWN, 0.0, "421 too much")
        assert isinstance(change, PaceChange) and change.rate is not None
        self.assertEqual((change.connections, change.detail, made.shaped[0]), (2, "421 too much", 2))
        made.begin(NOW)
        hold = made.hold(NOW)
        assert hold is not None
        self.assertEqual((hold.why, hold.until), (Why.SHAPED, None))
        self.assertEqual(hold.detail, "mx.example.org asked for less: 2 of 2 connections")
        made.ended(NOW, Told.NOTHING)
        hold = made.hold(NOW)
        assert hold is not None and hold.until is not None
        self.assertEqual((hold.why, hold.detail), (Why.SHAPED, "mx.example.org asked for less: 47.5 a second"))
        self.assertIs(made.hold(hold.until), None)
        made.ended(NOW + 2.0, Told.NOTHING)
        made.begin(NOW + 2.0)
        made.ended(NOW + 2.0, Told.SLOW_DOWN, 60.0, "421 stop")
        hold = made.hold(NOW + 2.0)
        assert hold is not None
        self.assertEqual(
            (hold.why, hold.until, hold.detail), (Why.SHAPED, NOW + 62.0, "mx.example.org asked for a pause")
        )

    def test_a_complaint_about_what_was_under_way_changes_nothing(self) -> None:
        """
        So nothing is told either.
        """
        made = self.busy()
        made.ended(NOW, Told.SLOW_DOWN, 0.0, "421 too much")
        self.assertEqual(made.ended(NOW, Told.SLOW_DOWN, 0.0, "421 too much"), ())

    def test_the_end_of_shaping_is_told(self) -> None:
        """
        Once it takes all there is, or has not complained for an hour.
        """
        made = self.busy()
        made.ended(NOW, Told.SLOW_DOWN, 0.0, "421 too much")
        self.assertEqual(made.ended(NOW + 1.0, Told.ACCEPTED), ())
        made.begin(NOW + 3600.0)
        self.assertEqual(
            made.ended(NOW + 3600.0, Told.ACCEPTED), (PaceChange(None, None, "mx.example.org takes all there is"),)
        )
        self.assertIs(made.dump(), None)

    def test_a_pause_is_told(self) -> None:
        """
        With how long it is.
        """
        (change,) = self.busy().ended(NOW, Told.SLOW_DOWN, 300.0, "421 blocked")
        self.assertEqual(change.detail, "421 blocked; nothing for 300 s")

    def test_what_does_not_change_is_not_told(self) -> None:
        """
        A site that never answers has the least after its first failure, and each later try makes it no less.
        """
        made = site(Limits(threshold=1, timeout=10.0))
        told: list[Change] = []
        for at in (0.0, 10.0, 20.0):
            made.begin(NOW + at)
            told += made.ended(NOW + at, Told.UNREACHABLE, 0.0, "lost")
        self.assertEqual([type(each) for each in told].count(PaceChange), 1)

    def test_failures_count_for_both(self) -> None:
        """
        A site that cannot be reached gets fewer at a time, and in the end nothing.
        """
        made = site(Limits(threshold=2))
        for _ in range(8):
            made.begin(NOW)
        self.assertEqual(made.ended(NOW, Told.UNREACHABLE, 0.0, "lost"), (PaceChange(4, None, "lost"),))
        self.assertEqual(
            made.ended(NOW, Told.UNREACHABLE, 0.0, "lost"),
            (BreakerChange(State.OPEN, "lost; its mail waits for 300 s"),),
        )


class LivelinessTests(SynchronousTestCase):
    """
    Whatever happens, mail goes on one day.
    """

    def test_no_history_wedges_a_site(self) -> None:
        """
        Who is held is told a time that is to come, or waits for an attempt that is in flight; after some such times,
        with nothing in flight, an attempt may begin. Restarts and changes of limits are part of the history.
        """
        for seed in range(60):
            chance = random.Random(seed)
            limits = [self.some_limits(chance) for _ in range(3)]
            made, now = site(limits[0]), NOW
            for _ in range(400):
                now += chance.choice((0.0, 0.01, 1.0, 100.0, -5.0))
                made = self.happens(made, chance, limits, now)
            for _ in range(made.in_flight):
                made.ended(now, Told.NOTHING)
            for _ in range(10):
                hold = made.hold(now)
                if hold is None:
                    break
                assert hold.until is not None and hold.until > now, (seed, hold)
                now = hold.until
            self.assertIs(made.hold(now), None, seed)

    def happens(self, made: Site, chance: random.Random, limits: list[Limits], now: float) -> Site:
        """
        Have one thing happen to a site; give it, or the one that stands in for it after a restart.
        """
        hold = made.hold(now)
        if hold is None:
            made.begin(now)
        else:
            self.assertTrue(made.in_flight if hold.until is None else hold.until > now, hold)
        if made.in_flight and chance.random() < 0.6:
            made.ended(now, chance.choice(list(Told)), chance.choice((0.0, 0.0, 0.0, 60.0)), "why")
        if chance.random() < 0.02:
            made.use(chance.choice(limits), now)
        text = made.dump()
        if chance.random() < 0.98:
            return made
        again = site(chance.choice(limits))
        if text is not None:
            again.restore(text, now)
        return again

    def some_limits(self, chance: random.Random) -> Limits:
        """
        Draw some.
        """
        return Limits(
            max_connections=chance.choice((None, 1, 5)),
            count=chance.choice((0, 1, 100)),
            seconds=chance.choice((1.0, 60.0)),
            burst=chance.choice((1, 20)),
            threshold=chance.choice((1, 5)),
            half_open=chance.choice((1, 3)),
            shaping=chance.random() < 0.8,
        )


class LastingTests(SynchronousTestCase):
    """
    What survives a restart.
    """

    def test_breaker_and_pace_are_taken_up(self) -> None:
        """
        By a site of the same name.
        """
        made = site(Limits(threshold=1))
        made.begin(NOW)
        made.ended(NOW, Told.SLOW_DOWN, 600.0, "421 stop")
        failed(made, 1)
        text = made.dump()
        assert text is not None
        again = site()
        again.restore(text, NOW + 10.0)
        hold = again.hold(NOW + 10.0)
        assert hold is not None
        self.assertIs(hold.why, Why.BREAKER)
        again.reset(NOW)
        only_breaker = site(Limits(shaping=False))
        only_breaker.restore(text, NOW)
        self.assertEqual((only_breaker.shaped, only_breaker.breaker.state), ((None, None), State.OPEN))
        paused = site()
        paused.restore(json.dumps({"pace": json.loads(text)["pace"]}), NOW + 10.0)
        hold = paused.hold(NOW + 10.0)
        assert hold is not None
        self.assertEqual((hold.why, hold.until), (Why.SHAPED, NOW + 600.0))

    def test_nonsense_is_ignored(self) -> None:
        """
        Storage is no reason to stop mail.
        """
        for text in ("", "x", "[]", "1", "{}", '{"breaker": 1, "pace": []}', '{"breaker": {"until": "x"}, "pace": {}}'):
            made = site()
            made.restore(text, NOW)
            self.assertEqual((made.hold(NOW), made.dump()), (None, None), text)
