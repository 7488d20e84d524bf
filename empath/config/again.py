"""
The configuration read again: what came of it, in the log.

Fatal: nothing. A configuration that cannot be used is logged, each of its faults, and the one before stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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
    Have `reload` done for `cause` ("SIGHUP"), and log what came of it, each time anew.
    """
    answer: dict[str, Any] = {"cause": cause, "log_answer": True}
    try:
        outcome = reload()
    except ConfigError as trouble:
        for problem in trouble.problems:
            log.error("{cause}: the configuration cannot be used: {problem}", problem=problem, **answer)
        log.error("{cause}: nothing was changed", **answer)
        return
    except Exception:
        log.failure("{cause}: the configuration could not be read, by a fault of empath's own", **answer)
        return
    log.info("{cause}: configuration read again: {path}", path=outcome.path or "none found", **answer)
    for key, why in outcome.restart.items():
        log.warn("{cause}: only a restart applies {key}: {why}", key=key, why=why, **answer)
