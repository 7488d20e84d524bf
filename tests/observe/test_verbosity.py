"""
Requirements on the log level while it runs.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Log
from empath.errors import StorageError
from empath.observe.logging import LineObserver
from empath.observe.verbosity import Verbosity
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
