"""
Requirements on what libraries say through Python's own logging.
"""

from __future__ import annotations

import logging

from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.observe.logs.levels import Levels
from empath.observe.logs.libraries import Libraries
from empath.observe.logs.lines import LineObserver


class LibrariesTests(SynchronousTestCase):
    """
    A root of loggers of its own.
    """

    def setUp(self) -> None:
        self.written: list[str] = []
        root = logging.RootLogger(logging.WARNING)
        manager = logging.Manager(root)
        root.manager = manager  # as logging itself does for its own
        self.get = manager.getLogger
        self.libraries = Libraries(LineObserver(schema.Log(level="debug"), self.written.append), root)

    def told(self) -> list[str]:
        """
        Take what was written, without its times.
        """
        texts = [line[25:].rstrip("\n") for line in self.written]
        self.written.clear()
        return texts

    def test_is_told_under_its_name_from_warnings_on(self) -> None:
        """
        With its level, and braces that are only text.
        """
        log = self.get("urllib3.connectionpool")
        log.debug("hidden")
        log.info("hidden")
        log.warning("retry %s {0}", "{x}")
        log.error("bad")
        log.critical("worse")
        log.log(35, "between")
        name = "urllib3.connectionpool"
        self.assertEqual(
            self.told(),
            [
                f"warn {name}: retry {{x}} {{0}}",
                f"error {name}: bad",
                f"critical {name}: worse",
                f"warn {name}: between",
            ],
        )

    def test_a_level_of_its_own_is_its_level_there(self) -> None:
        """
        Until it has none any more; ours and Twisted's are none of these.
        """
        log = self.get("urllib3.connectionpool")
        self.libraries.use(Levels("info", {"urllib3": "debug", "empath.dns": "debug"}))
        log.debug("shown")
        self.assertEqual(self.told(), ["debug urllib3.connectionpool: shown"])
        self.libraries.use(Levels("debug"))
        log.debug("hidden")
        self.assertEqual(self.told(), [])
        self.assertEqual(self.get("empath.dns").level, logging.NOTSET)

    def test_an_exception_comes_with_its_traceback(self) -> None:
        """
        Where it was logged with one.
        """
        try:
            raise ValueError("bad")
        except ValueError:
            self.get("library").exception("broken")
        [record] = self.written
        self.assertIn("error library: broken\n\t", record)
        self.assertIn("ValueError: bad", record)

    def test_what_cannot_be_put_together_is_told_nevertheless(self) -> None:
        """
        And whoever logged it goes on.
        """
        self.get("library").warning("%d of %d", "many")
        [text] = self.told()
        self.assertTrue(text.startswith("warn library: '%d of %d' cannot be told: TypeError"), text)
