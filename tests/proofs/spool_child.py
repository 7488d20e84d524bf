"""
A process that stores mail in a spool as fast as it can and tells each queue id once its commit has fired.

Usage: python -m tests.proofs.spool_child PATH SEED. One line on stdout for each message, "id" or "id large".
"""

from __future__ import annotations

import os
import random
import sys

import attrs
from twisted.internet import reactor as any_reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from empath.config.schema import Spool
from empath.config.units import Folder, Size
from empath.mail.message import Status, deliveries_of
from empath.mail.queue_id import new_queue_id
from empath.mail.settlement import Settlement
from empath.spool.sqlite import SqliteSpool
from tests.spool.support import Post


def pool(size: int) -> object:
    """
    Make threads, and tell how to call them.
    """
    threads = ThreadPool(size, size)
    threads.start()
    any_reactor.addSystemEventTrigger("during", "shutdown", threads.stop)
    return lambda call: deferToThreadPool(any_reactor, threads, call)  # type: ignore[arg-type]


async def session(spool: SqliteSpool, chance: random.Random, post: Post) -> None:
    """
    Store one message after the other; every third is settled again, and not told.
    """
    while True:
        queue_id = new_queue_id(any_reactor.seconds(), chance)
        large = chance.random() < 0.2
        body = chance.randbytes(200_000 if large else 3_000)
        writer = spool.begin(queue_id)
        if (waiting := writer.write(body)) is not None:
            await waiting
        message = attrs.evolve(post.message(body=body, queue_id=queue_id), body=writer.body, body_file=writer.body_file)
        deliveries = deliveries_of(message)
        await writer.commit(message, deliveries)
        if chance.random() < 0.3:
            await spool.settle(Settlement(attrs.evolve(deliveries[0], status=Status.COMPLETED)))
        else:
            os.write(1, f"{queue_id} {len(body)}\n".encode())


def main(path: str, seed: str) -> None:
    """
    Run twenty sessions until somebody ends us.
    """
    chance = random.Random(seed)
    spool = SqliteSpool(
        Spool(path=Folder(path), inline_limit=Size(65536), min_free=Size(0)),
        clock=any_reactor,
        in_writer=pool(1),  # type: ignore[arg-type]
        in_reader=pool(1),  # type: ignore[arg-type]
        in_thread=pool(4),  # type: ignore[arg-type]
        emit=lambda event: None,
    )
    spool.open()
    post = Post()
    for _ in range(20):
        Deferred.fromCoroutine(session(spool, chance, post)).addErrback(lambda failure: failure.printTraceback())
    any_reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
