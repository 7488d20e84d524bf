from __future__ import annotations

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from empath.mail import life
from empath.observe.life import LifeEvents
from tests.observe import made


class LifeEventsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events = LifeEvents()
        self.seen: list[tuple[str, object]] = []

    def test_listeners_of_a_type_hear_its_events_in_their_order(self) -> None:
        self.events.subscribe(life.ConnectionOpened, lambda event: self.seen.append(("first", event)))
        self.events.subscribe(life.ConnectionOpened, lambda event: self.seen.append(("second", event)))
        event = life.ConnectionOpened(made.session())
        self.events.emit(event)
        self.assertEqual(self.seen, [("first", event), ("second", event)])

    def test_events_of_other_types_are_not_told(self) -> None:
        self.events.subscribe(life.ConnectionOpened, lambda event: self.seen.append(("opened", event)))
        self.events.emit(life.ConnectionClosed(made.session(), 1.0, "quit"))
        self.assertEqual(self.seen, [])

    def test_a_listener_that_raises_harms_neither_others_nor_the_caller(self) -> None:
        def broken(event: life.ConnectionOpened) -> None:
            raise ZeroDivisionError

        self.events.subscribe(life.ConnectionOpened, broken)
        self.events.subscribe(life.ConnectionOpened, lambda event: self.seen.append(("second", event)))
        self.events.emit(life.ConnectionOpened(made.session()))
        self.assertEqual(len(self.seen), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_its_trouble_names_the_message_that_it_was_about(self) -> None:
        def broken(event: life.LifeEvent) -> None:
            raise ZeroDivisionError

        self.events.subscribe(life.ConnectionOpened, broken)
        self.events.subscribe(life.MessageReceived, broken)
        with capturedLogs() as events:
            self.events.emit(life.ConnectionOpened(made.session()))
            self.events.emit(life.MessageReceived(made.message(), made.session(), 0.0))
        self.assertEqual([each["queue_id"] for each in events], ["NOQUEUE", made.QUEUE_ID])
        self.flushLoggedErrors(ZeroDivisionError)

    def test_a_listener_may_subscribe_another_one_which_hears_the_next_event(self) -> None:
        def subscribing(event: life.ConnectionOpened) -> None:
            self.events.subscribe(life.ConnectionOpened, lambda later: self.seen.append(("late", later)))

        self.events.subscribe(life.ConnectionOpened, subscribing)
        self.events.emit(life.ConnectionOpened(made.session()))
        self.assertEqual(self.seen, [])
        self.events.emit(life.ConnectionOpened(made.session()))
        self.assertEqual(len(self.seen), 1)

    def test_a_subscription_can_be_ended(self) -> None:
        first = self.events.subscribe(life.ConnectionOpened, lambda event: self.seen.append(("first", event)))
        second = self.events.subscribe(life.ConnectionOpened, lambda event: self.seen.append(("second", event)))
        first()
        self.events.emit(life.ConnectionOpened(made.session()))
        self.assertEqual([name for name, _ in self.seen], ["second"])
        second()
        second()
        self.events.emit(life.ConnectionOpened(made.session()))
        self.assertEqual((len(self.seen), self.events._listeners), (1, {}))
