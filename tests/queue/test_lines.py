"""
Whose turn it is.
"""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.message import deliveries_of
from empath.policy.shaping import Told
from empath.policy.site import Limits, Site
from empath.queue.entry import Entry, Place
from empath.queue.line import Gate, Line
from empath.queue.lines import Lines
from empath.queue.window import Window
from tests.queue.fakes import mail


class Bench:
    """
    A window with lines, filled by domain names.
    """

    def __init__(self, limit: int, max_active: int = 100_000) -> None:
        self.gates: dict[str, Gate] = {}
        self.limits = Limits()
        self.lines = Lines(limit, self.begin, lambda gate, domain, changes: None)
        self.window = Window(max_active, self.lines)
        self.number = 0
        self.now = 1000.0

    def gate(self, domain: str) -> Gate:
        """
        The part after "_" is the site; without one the domain is.
        """
        name = domain.rpartition("_")[2]
        gate = self.gates.get(name)
        if gate is None:
            gate = self.gates[name] = Gate(Site(name, self.limits))
        return gate

    def begin(self, domain: str) -> Line:
        return Line(domain, self.gate(domain))

    def add(self, domain: str, count: int = 1, priority: int = 0) -> None:
        for _ in range(count):
            self.number += 1
            [delivery] = deliveries_of(mail(self.number, f"a@{domain}"))
            self.window.admit(attrs.evolve(delivery, priority=priority), None, self.now)

    def take(self) -> Entry | None:
        entry = self.lines.take(self.now)
        if entry is not None:
            entry.place = Place.IN_FLIGHT
        return entry

    def take_all(self) -> list[Entry]:
        return list(iter(self.take, None))

    def end(self, entry: Entry) -> None:
        assert entry.gate is not None
        entry.gate.site.ended(self.now, Told.NOTHING)
        self.lines.ended(entry.gate)
        self.window.release(entry)

    def judge(self, domain: str, accepted: bool) -> bool:
        return self.lines.judge(self.gate(domain), accepted)

    @property
    def faults(self) -> int:
        return self.lines.faults(self.window.active.values())


class TurnTests(SynchronousTestCase):
    def test_destinations_take_turns(self) -> None:
        """
        A hundred messages for one destination do not delay another's.
        """
        bench = Bench(100)
        bench.add("dead.example", 100)
        bench.add("live.example", 2)
        taken = [entry.delivery.domain for entry in bench.take_all()]
        self.assertEqual(taken[:4], ["dead.example", "live.example"] * 2)

    def test_within_a_line_the_urgent_then_the_older(self) -> None:
        """
        Greater priority first; equals in the order they came.
        """
        bench = Bench(100)
        bench.add("x", 2)
        bench.add("x", 1, priority=5)
        self.assertEqual([int(entry.key[0]) for entry in bench.take_all()], [3, 1, 2])

    def test_one_destination_alone_gets_a_fifth(self) -> None:
        """
        Twenty of a hundred slots: the size of a server's connection pool.
        """
        bench = Bench(100)
        bench.add("x", 200)
        self.assertEqual(len(bench.take_all()), 20)

    def test_hanging_destinations_leave_slots_free(self) -> None:
        """
        However many hang, a destination that has no slot gets one at once while fewer than all slots hang.
        """
        bench = Bench(100)
        for number in range(40):
            bench.add(f"hangs{number}", 50)
        hanging = bench.take_all()
        self.assertLess(len(hanging), 100)
        bench.add("live.example")
        self.assertEqual([entry.delivery.domain for entry in bench.take_all()], ["live.example"])

    def test_dead_destinations_share_half_of_the_slots(self) -> None:
        """
        Any number of destinations that failed last time leaves half of all slots to the others.
        """
        bench = Bench(100)
        for number in range(300):
            bench.judge(f"dead{number}", False)
            bench.add(f"dead{number}", 3)
        dead = bench.take_all()
        self.assertEqual(len(dead), 50)
        bench.add("live.example", 5)
        self.assertEqual(len(bench.take_all()), 5)
        bench.end(dead[0])
        self.assertEqual(len(bench.take_all()), 1)
        self.assertEqual(bench.faults, 0)

    def test_a_small_limit_serves_all_in_turn(self) -> None:
        """
        With one slot, destinations alternate, dead ones too.
        """
        bench = Bench(1)
        bench.judge("dead", False)
        bench.add("dead", 2)
        bench.add("live", 2)
        order = []
        while (entry := bench.take()) is not None:
            order.append(entry.delivery.domain)
            self.assertIsNone(bench.take())
            bench.end(entry)
        self.assertEqual(order, ["dead", "live"] * 2)

    def test_stuck_settlements_take_slots(self) -> None:
        """
        What cannot be settled holds new attempts back, and lets them go when it can.
        """
        bench = Bench(2)
        for number in range(4):
            bench.add(f"d{number}")
        bench.lines.stick(+1)
        self.assertEqual(len(bench.take_all()), 1)
        bench.lines.stick(-1)
        self.assertEqual(len(bench.take_all()), 1)
        bench.lines.limit_to(4)
        self.assertEqual(len(bench.take_all()), 2)


class SiteTests(SynchronousTestCase):
    def test_recovery_is_told_once(self) -> None:
        """
        Only the first acceptance after trouble is a recovery.
        """
        bench = Bench(10)
        heard = [bench.judge("x", accepted) for accepted in (True, False, False, True, True)]
        self.assertEqual(heard, [False, False, False, True, False])

    def test_old_trouble_counts_only_while_nothing_newer_is_known(self) -> None:
        """
        After a restart a stored failure makes the first acceptance a recovery; a known good site is not doubted.
        """
        bench = Bench(10)
        bench.lines.suppose_trouble("x")  # of what has no line nothing is supposed
        bench.add("x")
        bench.lines.suppose_trouble("x")
        self.assertTrue(bench.judge("x", True))
        bench.lines.suppose_trouble("x")
        self.assertFalse(bench.judge("x", True))

    def test_a_site_that_recovers_gets_its_whole_share(self) -> None:
        """
        The bound on dead destinations no longer holds for it, nor does what it has in flight count against others.
        """
        bench = Bench(4)
        for name in ("a", "b", "c"):
            bench.judge(name, False)
            bench.add(name)
        self.assertEqual(len(bench.take_all()), 2)
        bench.judge("a", True)
        self.assertEqual(len(bench.take_all()), 1)
        self.assertEqual(bench.faults, 0)


class RepairTests(SynchronousTestCase):
    def test_faults_are_seen_and_repaired(self) -> None:
        """
        Lines made anew agree with their entries, and every ready one gets its turn.
        """
        bench = Bench(100)
        bench.add("x", 30)
        bench.add("y", 2)
        taken = bench.take_all()
        bench.lines.by_domain["x"].waiting.pop()
        bench.gates["x"].site.in_flight += 3
        bench.lines.in_flight += 3
        self.assertEqual(bench.faults, 1 + 3 + 3)
        bench.lines.rebuild(bench.window.active.values())
        self.assertEqual(bench.faults, 0)
        while taken:
            bench.end(taken.pop())
            taken += bench.take_all()
        self.assertEqual((bench.window.active, bench.lines.by_domain, bench.lines.ready), ({}, {}, 0))

    @settings(max_examples=100, deadline=None)
    @given(st.integers(1, 12), st.lists(st.tuples(st.sampled_from("aetjx"), st.sampled_from("pqrstu"), st.booleans())))
    def test_nobody_is_forgotten(self, limit: int, steps: list[tuple[str, str, bool]]) -> None:
        """
        After any steps the lines agree with the entries, and with every attempt ended all mail has had its turn.
        """
        bench = Bench(limit)
        flying: list[Entry] = []
        for what, domain, flag in steps:
            match what:
                case "a":
                    bench.add(domain)
                case "e" if flying:
                    bench.end(flying.pop(0 if flag else -1))
                case "t":
                    flying += bench.take_all()
                case "j":
                    bench.judge(domain, flag)
                case _:
                    pass
            self.assertEqual(bench.faults, 0)
            self.assertLessEqual(bench.lines.in_flight, limit)
        flying += bench.take_all()
        while flying:
            bench.end(flying.pop())
            flying += bench.take_all()
        self.assertEqual(bench.window.active, {})
