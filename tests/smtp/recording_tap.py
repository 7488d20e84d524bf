"""
A tap that records.
"""

from __future__ import annotations

from collections.abc import Iterable


class RecordingTap:
    """
    Writes down what it is told: lines as they are, all else in words.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def heard(self, octets: bytes) -> None:
        """
        As Tap.
        """
        self.told += [f"< {line}" for line in octets.decode().splitlines()]

    def said(self, octets: bytes) -> None:
        """
        As Tap.
        """
        self.told += [f"> {line}" for line in octets.decode().splitlines()]

    def secret(self, octets: bytes) -> None:
        """
        As Tap.
        """
        self.told.append("secret")

    def faulty(self, words: str) -> None:
        """
        As Tap.
        """
        self.told.append(f"< [a line with a fault: {words}]")

    def content(self, octets: int) -> None:
        """
        As Tap.
        """
        self.told.append(f"content {octets}")

    def opened(self, peer: str, where: str) -> None:
        """
        As Tap.
        """
        self.told.append(f"opened {peer} {where}")

    def presents(self, peer: str) -> None:
        """
        As Tap.
        """
        self.told.append(f"presents {peer}")

    def carries(self, queue_id: str, domains: Iterable[str]) -> None:
        """
        As Tap.
        """
        self.told.append(f"carries {queue_id} {sorted(domains)}")

    def secured(self, words: str) -> None:
        """
        As Tap.
        """
        self.told.append(f"secured {words}")

    def closed(self, words: str) -> None:
        """
        As Tap.
        """
        self.told.append(f"closed {words}")
