"""
How a session is overheard, for people who want to see what is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Tap(Protocol):
    """
    Overhears one session, of either side. A session without one pays a comparison with None for each line.

    The session itself tells what was said, since only it knows what is a line, a secret, or content. The edge around it
    tells of the connection: when it is there, whose mail it carries, when TLS protects it, how it ends.
    """

    def heard(self, octets: bytes) -> None:
        """
        The peer said this: lines, or parts of them.
        """

    def said(self, octets: bytes) -> None:
        """
        We said these lines, each with its CRLF.
        """

    def secret(self, octets: bytes) -> None:
        """
        The peer answered a challenge, with what nobody is to see.
        """

    def faulty(self, words: str) -> None:
        """
        The peer said a line that is none: `words` say why.
        """

    def content(self, octets: int) -> None:
        """
        So many octets of content went, or came.
        """

    def opened(self, peer: str, where: str) -> None:
        """
        The connection with a peer is there; `where` says which way, in words.
        """

    def presents(self, peer: str) -> None:
        """
        The peer is somebody else from now on.
        """

    def carries(self, queue_id: str, domains: Iterable[str]) -> None:
        """
        It carries a message, to these domains, from now on and until the next one.
        """

    def secured(self, words: str) -> None:
        """
        TLS protects it, or cannot: `words` say how.
        """

    def closed(self, words: str) -> None:
        """
        The connection is over, or could not be made.
        """
