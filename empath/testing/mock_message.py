"""
What a scripted server keeps of a message.
"""

from __future__ import annotations

import attrs


@attrs.frozen(slots=True)
class MockMessage:
    """
    A message that was taken: its envelope, the parameters of MAIL and of each RCPT as written, and its content without
    dot-stuffing. `at` is the clock's time, 0.0 without a clock.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    parameters: tuple[str, ...] = ()
    recipient_parameters: tuple[tuple[str, ...], ...] = ()
    tls: bool = False
    login: str = ""
    at: float = 0.0

    @property
    def header(self) -> bytes:
        """
        The header block, without the empty line behind it.
        """
        return self.content.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        """
        What stands behind the first empty line.
        """
        return self.content.partition(b"\r\n\r\n")[2]
