"""
The bounds of the active window.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.message import deliveries_of
from empath.policy.shaping import Told
from empath.policy.site import Limits, Site
from empath.queue.entry import Entry
from empath.queue.line import Gate, Line
from empath.queue.lines import Lines
from empath.queue.window import Window
from tests.queue.fakes import mail


def begin(domain: str) -> Line:
    return Line(domain, Gate(Site(domain, Limits())))


class WindowTests(SynchronousTestCase):
    def window(self, max_active: int, max_held: int = 1000) -> Window:
        return Window(max_active, Lines(100, begin, lambda gate, domain, changes: None), max_held)

    def admit(self, window: Window, number: int, *recipients: str, body: bytes = b"") -> list[bool]:
        message = mail(number, *recipients, body=body)
        copy = window.copy_of(message)
        return [window.admit(delivery, copy, 0.0) for delivery in deliveries_of(message)]

    def end(self, window: Window) -> tuple[Entry, bool]:
        entry = window.lines.take(0.0)
        assert entry is not None and entry.gate is not None
        entry.gate.site.ended(0.0, Told.NOTHING)
        window.lines.ended(entry.gate)
        return entry, window.release(entry)

    def test_one_destination_fills_half(self) -> None:
        """
        A destination has at most as many entries as there is room left; the next one finds a place.
        """
        window = self.window(10)
        taken = [self.admit(window, number, "a@x")[0] for number in range(8)]
        self.assertEqual(taken, [True] * 5 + [False] * 3)
        self.assertEqual(self.admit(window, 9, "a@y"), [True])
        self.assertEqual(window.full(), ({"x"}, 1))

    def test_what_was_left_in_the_spool_is_looked_for_when_half_is_done(self) -> None:
        """
        A line that overflowed tells once when it has drained to half.
        """
        window = self.window(8)
        for number in range(5):
            self.admit(window, number, "a@x")
        self.assertEqual([self.end(window)[1] for _ in range(4)], [False, True, False, False])

    def test_a_crowded_window_tells_when_half_is_done(self) -> None:
        """
        What found no room at all is looked for as well.
        """
        window = self.window(2)
        for number, recipient in enumerate(("a@x", "a@y", "a@z")):
            self.admit(window, number, recipient)
        self.assertTrue(window.crowded)
        self.assertEqual(window.room, 0)
        self.assertEqual([self.end(window)[1] for _ in range(2)], [True, False])

    def test_messages_are_held_up_to_a_bound(self) -> None:
        """
        Beyond the bound an entry has no copy; one message counts once, until its last delivery has gone.
        """
        window = self.window(100, max_held=200)
        self.admit(window, 1, "a@x", "a@y", body=b"x" * 100)
        self.assertEqual(window.held, 112)
        self.admit(window, 2, "a@z", body=b"x" * 100)
        self.assertEqual(window.held, 112)
        ended = [self.end(window)[0] for _ in range(3)]
        self.assertEqual(window.held, 0)
        self.assertEqual([entry.copy for entry in ended], [None] * 3)

    def test_a_delivery_is_taken_once(self) -> None:
        """
        What is active already is ignored by its key.
        """
        window = self.window(10)
        self.assertEqual([self.admit(window, 1, "a@x"), self.admit(window, 1, "a@x")], [[True], [True]])
        self.assertEqual(len(window.active), 1)
        self.assertEqual(window.lines.ready, 1)

    def test_notes_who_left(self) -> None:
        """
        Between watch and unwatch the keys that leave are noted.
        """
        window = self.window(10)
        self.admit(window, 1, "a@x")
        self.admit(window, 2, "a@x")
        self.end(window)
        left, other = window.watch(), window.watch()
        window.unwatch(other)
        entry, _ = self.end(window)
        window.unwatch(left)
        self.assertEqual((left, other), ({entry.key}, set()))
        self.admit(window, 3, "a@x")
        self.end(window)
        self.assertEqual(left, {entry.key})
