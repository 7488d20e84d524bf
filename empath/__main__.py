"""
`python -m empath` is `twistd -n empath`.
"""

from __future__ import annotations

import sys

from twisted.scripts.twistd import run


def main() -> None:
    """
    Run twistd in the foreground with the arguments that we were given.
    """
    sys.argv[:] = ["twistd", "-n", "empath", *sys.argv[1:]]
    run()


if __name__ == "__main__":
    main()
