"""
The threads of one service: one that writes the spool, one that reads it, one for what modules store, one for pages of
figures, which are to be had when all others hang, and a few for files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

FILE_THREADS: Final = 4


class Threads:
    """
    Runs blocking calls; `in_writer`, `in_reader`, `in_storage` and `in_pages` one at a time and in order, `in_thread` a
    few at once.

    `make_pool` makes a thread pool of at most so many threads, of a name.
    """

    def __init__(self, reactor: Any, make_pool: Callable[[int, str], ThreadPool]) -> None:
        self._reactor = reactor
        self._writer = make_pool(1, "empath-writer")
        self._reader = make_pool(1, "empath-reader")
        self._storage = make_pool(1, "empath-storage")
        self._pages = make_pool(1, "empath-pages")
        self._files = make_pool(FILE_THREADS, "empath-files")

    @property
    def pools(self) -> Mapping[str, ThreadPool]:
        """
        The pools, by what they are for.
        """
        return {
            "writer": self._writer,
            "reader": self._reader,
            "storage": self._storage,
            "pages": self._pages,
            "files": self._files,
        }

    def start(self) -> None:
        """
        Let calls run; after the fork, which would not take threads along.
        """
        for pool in self.pools.values():
            pool.start()

    def stop(self) -> None:
        """
        Wait for the calls that run, and end the threads.
        """
        for pool in self.pools.values():
            pool.stop()

    def in_writer(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        Run a call that writes the spool.
        """
        return deferToThreadPool(self._reactor, self._writer, call)

    def in_reader(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        Run a call that reads the spool.
        """
        return deferToThreadPool(self._reactor, self._reader, call)

    def in_storage(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        Run a call that reads or writes what modules store.
        """
        return deferToThreadPool(self._reactor, self._storage, call)

    def in_pages(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        Run a call that writes a page of figures.
        """
        return deferToThreadPool(self._reactor, self._pages, call)

    def in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        Run any other blocking call.
        """
        return deferToThreadPool(self._reactor, self._files, call)
