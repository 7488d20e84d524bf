"""
Free TCP ports of loopback, and the addresses that stand for other machines.

Where pytest-xdist runs tests side by side, each of its workers has ports of its own.
"""

from __future__ import annotations

import os
import random
import socket

LOWEST, HIGHEST = 12000, 30000  # below the range from which the kernel takes the ports of outgoing connections
TRIES = 200
WORKER = "PYTEST_XDIST_WORKER"  # "gw0", "gw1" …
WORKERS = "PYTEST_XDIST_WORKER_COUNT"


class NoFreePort(Exception):
    """
    No port was free on all the addresses that were asked for.
    """


def is_free(address: str, port: int) -> bool:
    """
    Tell whether TCP and UDP on `port` of `address` can be bound now.
    """
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:  # connections that wait out their end do not make a port busy
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def ours() -> range:
    """
    Tell the ports that this process, and those that it starts, may take.
    """
    nth, count = int(os.environ.get(WORKER, "gw0")[2:]), int(os.environ.get(WORKERS, "1"))
    share = (HIGHEST - LOWEST) // count
    return range(LOWEST + nth * share, LOWEST + (nth + 1) * share)


def free_port(*addresses: str) -> int:
    """
    Pick a port that is free on every one of `addresses` (127.0.0.1 when none is given).

    It lies below the kernel's ephemeral range, so that no outgoing connection takes it before a server does.
    """
    wanted = addresses or ("127.0.0.1",)
    for port in random.SystemRandom().sample(ours(), TRIES):
        if all(is_free(address, port) for address in wanted):
            return port
    raise NoFreePort(", ".join(wanted))
