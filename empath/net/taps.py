"""
The one tap of a session that is recorded and watched.

Fatal, retried: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from empath.net.overhearing import Overhearing
from empath.net.recording import Recording
from empath.smtp.tap import Tap


class Both:
    """
    A tap that tells two others all that it is told.
    """

    __slots__ = ("recording", "watched")

    def __init__(self, recording: Recording, watched: Overhearing) -> None:
        self.recording = recording
        self.watched = watched

    def heard(self, octets: bytes) -> None:
        """
        See `Tap.heard`.
        """
        self.recording.heard(octets)
        self.watched.heard(octets)

    def said(self, octets: bytes) -> None:
        """
        See `Tap.said`.
        """
        self.recording.said(octets)
        self.watched.said(octets)

    def secret(self, octets: bytes) -> None:
        """
        See `Tap.secret`.
        """
        self.recording.secret(octets)
        self.watched.secret(octets)

    def faulty(self, words: str) -> None:
        """
        See `Tap.faulty`.
        """
        self.recording.faulty(words)
        self.watched.faulty(words)

    def content(self, octets: int) -> None:
        """
        See `Tap.content`.
        """
        self.recording.content(octets)
        self.watched.content(octets)

    def opened(self, peer: str, where: str) -> None:
        """
        See `Tap.opened`.
        """
        self.watched.opened(peer, where)

    def presents(self, peer: str) -> None:
        """
        See `Tap.presents`.
        """
        self.watched.presents(peer)

    def carries(self, queue_id: str, domains: Iterable[str]) -> None:
        """
        See `Tap.carries`.
        """
        self.watched.carries(queue_id, domains)

    def secured(self, words: str) -> None:
        """
        See `Tap.secured`.
        """
        self.watched.secured(words)

    def closed(self, words: str) -> None:
        """
        See `Tap.closed`.
        """
        self.recording.closed(words)
        self.watched.closed(words)


def taps_of(tap: Tap | None) -> tuple[Recording | None, Overhearing | None]:
    """
    Tell what records a session, and what people watch it by.
    """
    if isinstance(tap, Both):
        return tap.recording, tap.watched
    return (
        tap if isinstance(tap, Recording) else None,
        tap if isinstance(tap, Overhearing) else None,
    )


def together(recording: Recording | None, watched: Overhearing | None) -> Tap | None:
    """
    Make the one tap of a session for both.
    """
    if recording is not None and watched is not None:
        return Both(recording, watched)
    return recording or watched
