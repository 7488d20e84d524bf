"""
What the service takes from the machine on which it runs, beside its reactor: the test kit hands in another one.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.python.threadpool import ThreadPool

from empath.config.schema import Spool
from empath.dns.datagrams import OpenDatagrams, UdpSockets
from empath.dns.streams import OpenStream, tcp_streams
from empath.interfaces import IAuthenticator, InThread, ISpool
from empath.mail.life import Emit
from empath.modules.loading import LoadedModule
from empath.modules.threads import Workers
from empath.net.addresses import own_addresses
from empath.spool.memory import MemorySpool
from empath.storage import Storages


def _pool(most: int, name: str) -> ThreadPool:
    return ThreadPool(0, most, name)


def _memory_spool(section: Spool, emit: Emit) -> ISpool:
    return MemorySpool(section, emit=emit)


def _memory_storages(in_thread: InThread[Any], clock: Any) -> Storages:
    return Storages(None, in_thread, clock)


@attrs.frozen(slots=True, eq=False)
class Machine:
    """
    `chance` spreads and shuffles, `secret_chance` is for what nobody may guess. `make_pool` makes a thread pool of at
    most so many threads and a name. `datagrams` and `streams` reach DNS servers, `addresses` tells our own.

    `memory_spool` makes the spool of `backend = "memory"`, `memory_storages` what modules store beside it, given what
    runs a call in its one thread, and a clock. `workers` makes the threads of a module, `modules` are those that are
    made already for their sections. `authenticator` knows who may log in, in the place of the one that [auth] asks for.
    `gc_callbacks` are called by its garbage collector, None where neither that nor the loop is worth to be watched.
    """

    chance: random.Random
    secret_chance: random.Random
    datagrams: OpenDatagrams
    streams: OpenStream
    make_pool: Callable[[int, str], Any] = _pool
    addresses: Callable[[], frozenset[str]] = own_addresses
    memory_spool: Callable[[Spool, Emit], ISpool] = _memory_spool
    memory_storages: Callable[[InThread[Any], Any], Any] = _memory_storages
    workers: Callable[[str, Any], Any] = Workers
    modules: Sequence[LoadedModule] = ()
    authenticator: IAuthenticator | None = None
    gc_callbacks: list[Any] | None = None


def this_machine(reactor: Any) -> Machine:
    """
    Describe the real one.
    """
    datagrams, streams = UdpSockets(reactor), tcp_streams(reactor)
    return Machine(random.Random(), random.SystemRandom(), datagrams, streams, gc_callbacks=gc.callbacks)
