"""
An empath whose configuration names neither control socket nor audit trail, run by a user who may not write where they
are by default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from empath.control.client import ControlClient
from empath.control.faults import RefusedByServer
from empath.control.terms.system import GetStatus, Reload
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.processes import Program, require, require_program, temporary_folder
from tests.e2e.program import Empath

SOCKET, TRAIL = Path("/run/empath/control.sock"), Path("/var/log/empath/audit.jsonl")


class Unprivileged(Empath):
    """
    One that a user without rights starts, with the tables and values of `instead` in place of its own; those that are
    None are left out.
    """

    instead: Mapping[str, Any] = MappingProxyType({})

    def configuration(self) -> dict[str, Any]:
        """
        Leave out what is not to be there.
        """
        whole = {**super().configuration(), **self.instead}
        return {key: value for key, value in whole.items() if value is not None}

    def command(self) -> list[str]:
        """
        Run as somebody without rights.
        """
        if os.geteuid():
            return super().command()
        user = ["--reuid=65534", "--regid=65534", "--clear-groups"]
        reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]  # Python may be in root's home
        return [require_program("setpriv"), *user, *reading, "--", *super().command()]


class DefaultsTests(EndToEndTestCase):
    """
    What nobody asked for keeps nothing from starting; what was asked for does.
    """

    def setUp(self) -> None:
        """
        Look whether this machine has the folders, for everybody.
        """
        super().setUp()
        for folder in (SOCKET.parent, TRAIL.parent):
            theirs = folder.exists() and (folder.stat().st_uid in (65534, os.geteuid()) and os.geteuid() != 0)
            require(not theirs, f"{folder} may be written here")

    def made(self, **instead: Any) -> Unprivileged:
        """
        Make one in a folder that everybody may write in.
        """
        folder = temporary_folder(self)
        folder.chmod(0o1777)
        empath = Unprivileged(folder, {"delivery": {"domains": {"*": {"strategy": "discard"}}}})
        empath.instead = instead
        self.addCleanup(self._end, empath)
        return empath

    def refused(self, empath: Unprivileged) -> str:
        """
        Not start; tell why.
        """
        program: Program = empath.launch()
        self.assertEqual(program.wait(30), 1)
        [line] = [each for each in program.output().splitlines() if "cannot start" in each]
        return line

    def test_neither_keeps_it_from_starting(self) -> None:
        """
        One warning each says what to write; mail is taken.
        """
        empath = self.made(control_socket=None, audit=None)
        empath.start()
        [socket] = empath.logged("warn", "control_socket: /run/empath/control.sock cannot be made: Permission denied")
        self.assertIn('Write control_socket = "PATH"', socket)
        [trail] = empath.logged("warn", "audit trail: /var/log/empath/audit.jsonl cannot be opened: Permission denied")
        self.assertIn("Write [audit] path", trail)
        self.assertEqual(empath.get("/health/ready")[0], 200)
        self.assertEqual(empath.stop(), 0)
        self.assertEqual(empath.logged("error") + empath.logged("critical"), [])

    def test_the_status_tells_that_there_is_no_trail(self) -> None:
        """
        As a trouble; and a reload that would have mail wait for records is refused.
        """
        empath = self.made(audit=None)
        empath.start()
        with ControlClient(empath.control_socket) as client:
            status = client.ask(GetStatus())
            self.assertEqual((status.audit.enabled, status.audit.path), (True, ""))
            [trouble] = [each for each in status.troubles if "/var/log/empath" in each]
            self.assertIn("Permission denied", trouble)
            empath.instead = {"audit": {"durable": True}}
            empath.reload({}, hang_up=False)
            with self.assertRaises(RefusedByServer) as caught:
                client.ask(Reload())
            self.assertIn("audit.durable: there is no audit trail", str(caught.exception))

    def test_what_is_written_down_is_needed(self) -> None:
        """
        Also where that is the default.
        """
        self.assertIn("control_socket", self.refused(self.made(control_socket=str(SOCKET))))
        self.assertIn("audit trail", self.refused(self.made(audit={"path": str(TRAIL)})))

    def test_a_trail_that_mail_waits_for_is_needed(self) -> None:
        """
        Wherever it is.
        """
        for audit in ({"durable": True}, {"on_full": "stop"}):
            self.assertIn("audit trail", self.refused(self.made(audit=audit)))

    def test_only_lack_of_rights_is_forgiven(self) -> None:
        """
        What else is wrong with a path is told.
        """
        path = temporary_folder(self) / ("x" * 200)
        self.assertIn("107 octets", self.refused(self.made(control_socket=str(path))))
