"""
Take a control socket at a given instant, as empath does when it starts, again and again.

    control_racer.py PATH: for each line read, takes the socket and prints "had" or the refusal; for the next line gives
    it back, and prints "gone".
"""

from __future__ import annotations

import sys

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

from empath.control.listening import ControlSocket, ControlSocketError


def main() -> None:
    """
    Do it until there are no more lines.
    """
    print("ready", flush=True)
    while sys.stdin.readline():
        control = ControlSocket(reactor, sys.argv[1], Factory.forProtocol(Protocol))
        try:
            control.bind()
            print("had", flush=True)
        except ControlSocketError as trouble:
            print(trouble, flush=True)
        sys.stdin.readline()
        control.abandon()
        print("gone", flush=True)


if __name__ == "__main__":
    main()
