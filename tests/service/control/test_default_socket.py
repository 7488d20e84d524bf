"""
A control socket that nobody asked for, where we have no right to make it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.control.listening import ControlSocketError
from empath.control.serving import Call, Caller
from empath.control.terms.system import GetStatus
from empath.service.control import ControlService
from empath.service.control.system import SystemControl
from empath.testing import Mta


class Unbindable:
    """
    A socket that cannot be bound.
    """

    def __init__(self, trouble: ControlSocketError) -> None:
        self._trouble = trouble

    def bind(self) -> None:
        """
        Fail.
        """
        raise self._trouble


class DefaultSocketTests(SynchronousTestCase):
    """
    With the default path.
    """

    def bound(self, meant: bool, denied: bool) -> ControlService:
        """
        Try to bind.
        """
        socket: Any = Unbindable(ControlSocketError("control_socket: /run/x: no", denied))
        server: Any = None
        control = ControlService(server, socket, meant)
        control.bind()
        return control

    def test_it_is_done_without(self) -> None:
        """
        If it is a right that is missing, and nobody asked for this path.
        """
        for meant, denied in ((True, True), (True, False), (False, False)):
            self.assertRaises(ControlSocketError, self.bound, meant, denied)
        self.assertIn("Write control_socket", self.bound(meant=False, denied=True).trouble)

    def test_the_status_tells(self) -> None:
        """
        As a trouble, what to write.
        """
        mta = Mta()
        self.addCleanup(mta.stop)
        mta.service.control.trouble = "no right. Write something"
        answer: Any = SystemControl(mta.service).answers()[GetStatus]
        waiting = Deferred.fromCoroutine(answer(GetStatus(), Call(Caller(0, 1), lambda piece: None)))
        mta.settle()
        status = self.successResultOf(waiting)
        self.assertIn("no right. Write something", status.troubles)
