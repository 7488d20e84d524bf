"""
Whether empath could start with a configuration, as `python -m empath.checking [FILE]` tells in a process of its own.

All is read and made that a start reads and makes: certificates, keys, lists, logins, modules. Nothing is bound, opened
or started; what only that shows, such as a busy port or a module that does not start, is no fault here.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import attrs

from empath.config.load import Loaded, find_and_load
from empath.errors import ConfigError
from empath.program import folder_of, surroundings

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2


@attrs.frozen(slots=True)
class Finding:
    """
    What was found in the file at `path` ("": none, but the defaults): nothing, if there are no `problems`.
    """

    path: str
    problems: tuple[str, ...]


def finding(given: str | None, reactor: Any) -> Finding:
    """
    Look at the file `given`, or where None at the one that empath would find.
    """
    try:
        loaded = find_and_load(given, surroundings(reactor))
    except ConfigError as trouble:
        return Finding("", tuple(trouble.problems))
    return Finding(str(loaded.path or ""), tuple(loaded.named(_unmade(loaded, reactor))))


def _unmade(loaded: Loaded, reactor: Any) -> list[str]:
    from empath.service import build

    try:
        build(loaded.config, reactor, folder=folder_of(loaded)).reception.read_certificates()
    except ConfigError as trouble:
        return list(trouble.problems)
    return []


def main() -> None:
    """
    Write what was found to standard output, as JSON; what modules print goes to standard error.
    """
    from twisted.internet import reactor

    output = os.dup(STANDARD_OUTPUT)
    os.dup2(STANDARD_ERROR, STANDARD_OUTPUT)
    found = finding(sys.argv[1] if len(sys.argv) > 1 else None, reactor)
    with os.fdopen(output, "w", encoding="utf-8") as file:
        json.dump(attrs.asdict(found), file)
    sys.stdout.flush()
    os._exit(0)  # threads of modules are no reason to stay


if __name__ == "__main__":
    main()
