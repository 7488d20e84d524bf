"""
The sweep at the start: content files that belong to no message are deleted.

They are what a crash leaves between the file and the row, and what a cleanup gave up. The sweep goes folder by folder
in a thread, beside the service; a folder that cannot be read is left to the next start.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from empath.errors import SpoolError
from empath.interfaces import InThread
from empath.spool.content import Content
from empath.spool.files import list_folders, list_names

log = Logger()


class Sweep:
    """
    One pass over all content files; `known` tells which names have a row. `orphans` counts what was found.
    """

    def __init__(
        self, content: Content, known: Callable[[Sequence[str]], Deferred[set[str]]], in_thread: InThread[Any]
    ) -> None:
        self.orphans = 0
        self._content = content
        self._known = known
        self._in_thread = in_thread
        self._running: Deferred[None] | None = None

    def start(self) -> None:
        """
        Begin; files that this process makes from now on are known to be no orphans.
        """
        self._content.fresh = set()
        self._running = Deferred.fromCoroutine(self._sweep())

    def stop(self) -> None:
        """
        Leave the rest to the next start.
        """
        if self._running is not None:
            self._running.cancel()

    async def _sweep(self) -> None:
        try:
            for folder in await self._in_thread(partial(list_folders, self._content.root)):
                await self._sweep_folder(folder)
        except CancelledError:
            return
        except (OSError, SpoolError) as failure:
            log.warn("the sweep for orphans ended early: {error}", error=str(failure))
        finally:
            self._content.fresh = None
        if self.orphans:
            log.info("{orphans} content files without a message were deleted", orphans=self.orphans)

    async def _sweep_folder(self, folder: str) -> None:
        names = await self._in_thread(partial(list_names, folder))
        candidates = [name for name in names if name[-2:] == os.path.basename(folder)]
        if not candidates:
            return
        known = await self._known(candidates)
        fresh = self._content.fresh or set()
        for name in candidates:
            if name not in known and name not in fresh:
                self.orphans += 1
                self._content.remove(name)
