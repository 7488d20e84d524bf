"""
`python -m fuzz.guided TARGET [libFuzzer options]`: the same targets under Atheris, guided by coverage.

Atheris is no dependency of empath: `pip install atheris` first, into an environment of its own if you like.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from fuzz.running import CORPUS, load, names


def main(arguments: list[str]) -> None:
    """
    Fuzz until something breaks or an option such as `-max_total_time=60` ends it.

    What Atheris finds worth keeping goes to a throw-away folder, unless the options name one of their own.
    """
    if len(arguments) < 2 or arguments[1] not in names():
        sys.exit(f"usage: python -m fuzz.guided TARGET [libFuzzer options]; targets: {', '.join(names())}")
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        sys.exit("Atheris is not installed: pip install atheris")
    name, options = arguments[1], arguments[2:]
    with atheris.instrument_imports(include=["empath"]):
        target = load(name)
    if not any(Path(option).is_dir() for option in options):
        options.append(tempfile.mkdtemp(prefix=f"atheris-{name}-"))
    atheris.Setup([arguments[0], *options, str(CORPUS / name)], target.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
