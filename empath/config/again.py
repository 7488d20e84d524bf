"""
The configuration read again: what came of it, in the log.

Fatal: nothing. A configuration that cannot be used is logged, each of its faults, and the one before stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
from twisted.logger import Logger

from empath.errors import ConfigError

log = Logger()


@attrs.frozen(slots=True)
class Outcome:
    """
    What a reload did: the keys that are in use from now on, and by key why others wait for a restart. `path` is where
    it was read from, "" for none.
    """

    changed: tuple[str, ...]
    restart: Mapping[str, str]
    path: str = ""


def read_again(cause: str, reload: Callable[[], Outcome]) -> None:
    """
    Have `reload` done for `cause` ("SIGHUP"), and log what came of it.
    """
    try:
        outcome = reload()
    except ConfigError as trouble:
        for problem in trouble.problems:
            log.error("{cause}: the configuration cannot be used: {problem}", cause=cause, problem=problem)
        log.error("{cause}: nothing was changed", cause=cause)
        return
    except Exception:
        log.failure("{cause}: the configuration could not be read, by a fault of empath's own", cause=cause)
        return
    log.info("{cause}: configuration read again: {path}", cause=cause, path=outcome.path or "none found")
    for key, why in outcome.restart.items():
        log.warn("{cause}: only a restart applies {key}: {why}", cause=cause, key=key, why=why)
