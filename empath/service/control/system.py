"""
What is asked about the program as a whole.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from empath import __version__
from empath.control import protocol
from empath.control.serving import Answers, Call
from empath.control.terms.system import Ping, Pong

if TYPE_CHECKING:
    from empath.service import EmpathService


class SystemControl:
    """
    Answers for `service`.
    """

    def __init__(self, service: EmpathService) -> None:
        self._service = service

    def answers(self) -> Answers:
        """
        Give what can be asked.
        """
        return {Ping: self._ping}

    def _ping(self, request: Ping, call: Call) -> Pong:
        return Pong(__version__, protocol.VERSION, self._service.config.hostname, os.getpid(), self._now())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._service.clock.seconds(), UTC)
