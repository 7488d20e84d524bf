"""
The log of the service: at which levels, with which ids of traces, how often, and where else it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from empath.config import schema
from empath.interfaces import IStorage
from empath.observe.export.log_record import LogRecord
from empath.observe.logs.libraries import Libraries
from empath.observe.logs.lines import Ids, LineObserver
from empath.observe.logs.repeats import Repeats
from empath.observe.logs.verbosity import Verbosity


class Logs:
    """
    Has all who write the log do so as [log] says. `ids_of` gives the ids of a message's trace, `outlet` takes what goes
    to a collector.
    """

    def __init__(
        self,
        section: schema.Log,
        storage: IStorage,
        reactor: Any,
        ids_of: Callable[[str], Ids | None],
        outlet: Callable[[LogRecord], None],
    ) -> None:
        self.verbosity = Verbosity(section, storage)
        self._section = section
        self._reactor = reactor
        self._ids_of = ids_of
        self._libraries: Libraries | None = None
        self._outlet = outlet
        self._observers: list[LineObserver] = []

    def follow(self, observer: LineObserver) -> None:
        """
        Have this one write, and libraries speak to Twisted's log.
        """
        if self._libraries is None:
            self._libraries = Libraries()
            self.verbosity.on_change(self._libraries.use)
        observer.ids_of = self._ids_of
        observer.repeats = Repeats(self._section.repeat_interval, self._reactor, observer)
        self._hand_out(observer)
        self._observers.append(observer)
        self.verbosity.follow(observer)

    def use(self, section: schema.Log) -> None:
        """
        Go by another [log]; what was set by hand goes on to hold.
        """
        self._section = section
        self.verbosity.use(section)
        for observer in self._observers:
            self._hand_out(observer)
            if observer.repeats is not None:
                observer.repeats.use(section.repeat_interval)

    def _hand_out(self, observer: LineObserver) -> None:
        observer.outlet = self._outlet if self._section.otlp_endpoint else None

    def stop(self) -> None:
        """
        Tell what was counted, and count no more.
        """
        for observer in self._observers:
            if observer.repeats is not None:
                observer.repeats.stop()
