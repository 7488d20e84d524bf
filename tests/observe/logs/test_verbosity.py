"""
Requirements on the log level while it runs.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Log
from empath.errors import StorageError
from empath.observe.logs.lines import LineObserver
from empath.observe.logs.verbosity import MOST, Verbosity
from tests.queue.fakes import FakeStorage


class VerbosityTests(SynchronousTestCase):
    """
    A level by hand, and one by configuration.
    """

    def setUp(self) -> None:
        self.storage = FakeStorage()
        self.verbosity = Verbosity(Log(level="info"), self.storage)
        self.observer = LineObserver(Log(level="info"), lambda record: None)
        self.verbosity.follow(self.observer)

    def set(self, level: str | None, verbosity: Verbosity | None = None) -> None:
        self.successResultOf(Deferred.fromCoroutine((verbosity or self.verbosity).set_by_hand(level)))

    def restored(self) -> Verbosity:
        again = Verbosity(Log(level="info"), self.storage)
        self.successResultOf(Deferred.fromCoroutine(again.restore()))
        return again

    def test_a_level_by_hand_holds_for_all_who_log(self) -> None:
        """
        Those that write, and those that ask before they do.
        """
        self.assertEqual((self.verbosity.shows("info"), self.verbosity.shows("debug")), (True, False))
        self.set("debug")
        self.assertEqual((self.verbosity.level, self.verbosity.configured), ("debug", "info"))
        self.assertEqual((self.observer.level, self.verbosity.shows("debug")), ("debug", True))
        self.set(None)
        self.assertEqual((self.observer.level, self.verbosity.by_hand), ("info", {}))

    def test_it_holds_across_restarts_and_reloads(self) -> None:
        """
        Until it is taken back.
        """
        self.set("error")
        self.verbosity.use(Log(level="debug", format="json"))
        self.assertEqual((self.observer.level, self.verbosity.configured), ("error", "debug"))
        self.assertEqual(self.restored().level, "error")
        self.set(None)
        self.assertEqual(self.restored().level, "info")

    def set_of(self, namespace: str, level: str | None) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.verbosity.set_by_hand(level, namespace)))

    def test_a_namespace_has_a_level_by_hand(self) -> None:
        """
        Across restarts and beside that of all others, until it is taken back.
        """
        self.set_of("empath.dns", "debug")
        self.set_of("twisted", "error")
        self.set("warn")
        for verbosity in (self.verbosity, self.restored()):
            self.assertTrue(verbosity.shows("debug", "empath.dns.servers"))
            self.assertFalse(verbosity.shows("info", "empath.deliver"))
            self.assertFalse(verbosity.shows("warn", "twisted.web"))
            self.assertEqual(verbosity.by_hand, {"": "warn", "empath.dns": "debug", "twisted": "error"})
        self.assertTrue(self.observer.shows("debug", "empath.dns"))
        self.set_of("empath.dns", None)
        self.set_of("twisted", None)
        self.set(None)
        self.assertEqual((self.storage.texts, self.restored().by_hand), ({}, {}))

    def test_it_stands_before_the_configured_one(self) -> None:
        """
        Which holds again afterwards.
        """
        self.verbosity.use(Log(level="info", levels={"empath.dns": "warn"}))
        self.assertFalse(self.observer.shows("info", "empath.dns"))
        self.set_of("empath.dns", "debug")
        self.assertEqual(self.verbosity.levels.of("empath.dns"), "debug")
        self.assertEqual(self.verbosity.configured_for("empath.dns"), "warn")
        self.set_of("empath.dns", None)
        self.assertEqual(self.verbosity.levels.of("empath.dns.cache"), "warn")

    def test_there_are_not_too_many_of_them(self) -> None:
        """
        One too many is refused, a change of those there are is not.
        """
        for number in range(MOST):
            self.set_of(f"n{number}", "debug")
        self.failureResultOf(Deferred.fromCoroutine(self.verbosity.set_by_hand("info", "more")), ValueError)
        self.set_of("n0", "warn")
        self.assertEqual(len(self.restored().by_hand), MOST)

    def test_two_at_once_both_hold(self) -> None:
        """
        Although each waits for the disk.
        """
        waiting: list[Deferred[None]] = []

        def put(key: str, value: str, expires: float | None = None) -> Deferred[None]:
            waiting.append(Deferred())
            return waiting[-1]

        self.storage.put = put  # type: ignore[method-assign]  # it answers late
        both = [Deferred.fromCoroutine(self.verbosity.set_by_hand("debug", name)) for name in ("a", "b")]
        for at in range(2):
            waiting[at].callback(None)
            self.successResultOf(both[at])
        self.assertEqual(self.verbosity.by_hand, {"a": "debug", "b": "debug"})

    def test_who_wants_to_know_is_told(self) -> None:
        """
        Now, and at each change.
        """
        told: list[str] = []
        self.verbosity.on_change(lambda levels: told.append(levels.of("urllib3")))
        self.set_of("urllib3", "debug")
        self.assertEqual(told, ["info", "debug"])

    def test_what_cannot_be_kept_changes_nothing(self) -> None:
        """
        Neither does a word that is no level.
        """
        self.storage.faults.append(StorageError("full"))
        self.failureResultOf(Deferred.fromCoroutine(self.verbosity.set_by_hand("debug")), StorageError)
        self.failureResultOf(Deferred.fromCoroutine(self.verbosity.set_by_hand("loud")), ValueError)
        self.assertEqual(self.verbosity.level, "info")

    def test_what_cannot_be_read_leaves_the_configured_level(self) -> None:
        """
        So does a word of another version.
        """
        self.storage.faults.append(StorageError("gone"))
        self.assertEqual(self.restored().level, "info")
        self.storage.texts["log-level"] = "whisper"
        self.assertEqual(self.restored().level, "info")
        for text in ("[]", "{", '{"a": 1, "b": [], "c": "debug"}'):
            self.storage.texts["log-levels"] = text
            self.assertEqual(set(self.restored().by_hand) - {"c"}, set())
