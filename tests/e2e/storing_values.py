"""
A process that stores values of modules as fast as it can, and tells each key once its `put` has fired.

Usage: python -m tests.e2e.storing_values PATH RUN. One line on stdout for each key.
"""

from __future__ import annotations

import os
import sys

from twisted.internet import reactor as any_reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from empath.storage import Storages
from empath.storage.owned import Storage

SESSIONS = 20


def value_of(key: str) -> str:
    """
    Give the value that belongs to a key.
    """
    return f"value of {key} " * 10


async def session(storage: Storage, name: str) -> None:
    """
    Store one value after the other.
    """
    number = 0
    while True:
        key = f"{name} {number}"
        await storage.put(key, value_of(key))
        os.write(1, f"{key}\n".encode())
        number += 1


def main(path: str, run: str) -> None:
    """
    Run until somebody ends us.
    """
    thread = ThreadPool(1, 1)
    thread.start()
    any_reactor.addSystemEventTrigger("during", "shutdown", thread.stop)
    storages = Storages(path, lambda call: deferToThreadPool(any_reactor, thread, call), any_reactor)  # type: ignore[arg-type]
    storages.open()
    for number in range(SESSIONS):
        began = Deferred.fromCoroutine(session(storages.of("module"), f"{run} {number}"))
        began.addErrback(lambda failure: failure.printTraceback())
    any_reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
