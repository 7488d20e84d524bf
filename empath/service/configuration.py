"""
Where the configuration is from, and how it is read again: by signal, by an operator, or because its file changed.

Retried, once the file changes again: one that cannot be used. Ignored: a file that is away for a moment, or empty, as
editors have it that write another one in its place, and full disks. Refused: any other file than the one that was read
before, the development defaults in its place, and one without a key in place of one with some.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall

from empath.config.again import Outcome, read_again
from empath.config.load import Loaded
from empath.config.schema import Config
from empath.config.values import Surroundings
from empath.errors import ConfigError
from empath.interfaces import InThread
from empath.observe.metrics.gauges import Reloads

LOOK_INTERVAL: Final = 1.0  # seconds between two looks at the file
WATCH: Final = "the file changed"

Stamp = tuple[int, int, int, int, int]
Use = Callable[[Config], Outcome]


@attrs.frozen(slots=True)
class Origin:
    """
    Where a configuration is from: `path` (None: there is no file), what reads it again, what its text rests on, and the
    paths of the keys that were `written` when we started.
    """

    path: Path | None
    reread: Callable[[], Loaded]
    around: Surroundings
    written: frozenset[str] = frozenset()


def held_by(config: Config) -> frozenset[str]:
    """
    Tell the files of listeners, which are read where the ports are bound: only root may be able to, and later nobody.
    """
    listeners = config.smtp.listeners
    pairs = [pair for each in listeners for pair in each.certificates]
    more = {path for pair in pairs for path in (pair.certificate, pair.private_key)}
    own = {path for each in listeners for path in (each.certificate, each.private_key, each.client_ca)}
    return frozenset((own | more) - {""})


class Configuration:
    """
    Reads the configuration again, and has `use` use it; both are done whole or not at all. While it is watched, a
    change of the file does so. Without `origin` there is nothing to read.
    """

    def __init__(self, origin: Origin | None, use: Use, clock: Any, in_thread: InThread[Any]) -> None:
        self.origin = origin
        self._use = use
        self._clock = clock
        self.reloads = Reloads(0, 0, True, clock.seconds())
        self.in_thread = in_thread
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock
        self._known = self._stamp()
        self._seen: Stamp | None = None
        self._asking: Deferred[Any] | None = None

    @property
    def path(self) -> str:
        """
        The file, "" for the built-in development defaults.
        """
        return "" if self.origin is None or self.origin.path is None else str(self.origin.path)

    def wrote(self, key: str) -> bool:
        """
        Tell whether somebody meant the value of a key: it is written down, or was given by a program.
        """
        return self.origin is None or key in self.origin.written

    def reload(self) -> Outcome:
        """
        Read it again. ConfigError, and nothing is changed, if it cannot be used.
        """
        reloads = self.reloads
        self.reloads = attrs.evolve(reloads, refused=reloads.refused + 1, successful=False)
        outcome = self._reload()
        self.reloads = Reloads(reloads.used + 1, reloads.refused, True, self._clock.seconds())
        return outcome

    def _reload(self) -> Outcome:
        if self.origin is None:
            raise ConfigError(["there is no file that could be read again"])
        self._known = self._seen = self._stamp()  # before it is read: a later change is another one
        loaded = self.origin.reread()
        self._refuse_another(self.origin.path, loaded.path)
        self._refuse_nothing(loaded)
        try:
            outcome = self._use(loaded.config)
        except ConfigError as trouble:
            raise ConfigError(loaded.named(trouble.problems)) from trouble
        self.origin = attrs.evolve(self.origin, path=loaded.path)
        return attrs.evolve(outcome, path=self.path)

    def _refuse_another(self, before: Path | None, found: Path | None) -> None:
        """
        Refuse what is only found because the file that we run by is gone, or because one is looked for before it.
        """
        if before is not None and found != before:
            other = "the built-in development defaults" if found is None else found
            said = f"empath runs by this file, and would now find {other}; give it back, or restart to use the other"
            raise ConfigError([f"{before}: {said}"])

    def _refuse_nothing(self, loaded: Loaded) -> None:
        """
        Refuse a file without a key where we run by keys: it is one that is just being written.
        """
        if self.origin is not None and self.origin.written and not loaded.written:
            raise ConfigError([f"{loaded.path}: is empty; restart to run by defaults alone, or write it in one step"])

    def watch(self, watched: bool) -> None:
        """
        Look whether the file changes, or not any more.
        """
        if not watched:
            self.stop()
        elif not self._looking.running:
            self._looking.start(LOOK_INTERVAL, now=False)

    def stop(self) -> None:
        """
        Look no more.
        """
        if self._looking.running:
            self._looking.stop()
        if self._asking is not None:
            self._asking.cancel()

    def _look(self) -> Deferred[None]:
        """
        Look at the file, in a thread: its disk may be slow.
        """
        asking = self._asking = self.in_thread(self._stamp)
        return asking.addCallback(self._saw).addErrback(_cancelled).addBoth(self._looked)

    def _looked(self, result: Any) -> Any:
        self._asking = None
        return result

    def _saw(self, stamp: Stamp | None) -> None:
        """
        Read a file that is another one, once it has stayed the same between two looks: it may still be written.
        """
        before, self._seen = self._seen, stamp
        if stamp is not None and stamp == before and stamp != self._known:
            self._known = stamp
            read_again(WATCH, self.reload)

    def _stamp(self) -> Stamp | None:
        path = self.path
        try:
            status = os.stat(path) if path else None
        except OSError:
            return None
        if status is None or not status.st_size:  # nobody means all defaults by a file that was cut off
            return None
        changed = status.st_ctime_ns  # permissions, too: what could not be read may be mended so
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, changed


def _cancelled(failure: Any) -> None:
    """
    Nobody looks any more.
    """
    failure.trap(CancelledError)
