"""
`python -m empath.auth hash [--scheme SCHEME] [NAME]` prints a line for the file of users.
"""

from __future__ import annotations

import getpass
import random
import sys

from empath.auth.command import Terminal, run


def main() -> int:
    """
    Run the command on the terminal, or in a pipe.
    """
    piped = None if sys.stdin.isatty() else sys.stdin.buffer
    return run(sys.argv[1:], Terminal(getpass.getpass, piped, sys.stdout, sys.stderr), random.SystemRandom())


if __name__ == "__main__":
    sys.exit(main())
