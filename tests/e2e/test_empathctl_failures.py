"""
Every way in which empathctl can get no answer, in text and JSON, as docs/empathctl/failures.txt keeps it.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
from pathlib import Path
from typing import Final

from empath.control.boxes import octets_of
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.meddling import Asked, Meddler, in_small_pages, of_version, unchanged
from tests.e2e.processes import temporary_folder
from tests.e2e.recorded import Session

TOKEN: Final = "correct horse"
OVERSIZED: Final = octets_of({b"%d" % number: bytes(65_000) for number in range(160)})
USUAL: Final = "/run/empath/control.sock"


class FailureTests(EndToEndTestCase):
    """
    A running MTA whose operators have tokens, and everything that keeps one from its answer.
    """

    def setUp(self) -> None:
        super().setUp()
        ops = {"name": "ops", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}
        self.mta = self.empath({"control": {"tokens": [ops]}})
        self.mta.start()
        self.sockets = temporary_folder(self)
        self.names = {str(self.mta.folder): "/etc/empath"}
        self.session = Session("failures", self.mta.folder, {}, self.names)

    def test_each_is_told(self) -> None:
        """
        With its exit code, and what to do next.
        """
        self.token()
        self.permission()
        self.version()
        self.sizes()
        self.waiting_mail()
        self.broken_off()
        self.silence()
        self.nobody_there()
        if difference := self.session.difference():
            self.fail(difference)

    def both(self, line: str, token: str = TOKEN, socket: Path | None = None, powerless: bool = False) -> None:
        """
        Run a line in text and as JSON.
        """
        environment = {"EMPATH_CONTROL_TOKEN": token, "EMPATH_CONTROL_SOCKET": str(socket or self.mta.control_socket)}
        for each in (line, f"{line} --json"):
            self.session.run(each, shlex.split(each)[1:], environment, powerless)

    def meddled(self, line: str, asked: Asked = unchanged, whole: int = 1000, instead: bytes = b"") -> None:
        """
        Run a line with somebody in between.
        """
        path = self.sockets / f"{len(self.names)}.sock"
        self.names[str(path)] = USUAL
        meddler = Meddler(path, self.mta.control_socket, asked, whole, instead)
        try:
            self.both(line, socket=path)
        finally:
            meddler.stop()

    def token(self) -> None:
        """
        One that is not known, and none.
        """
        self.session.remark("a token that the MTA does not know, then none at all")
        self.both("empathctl system ping", "guess")
        self.session.run("empathctl system ping", ["system", "ping"])

    def permission(self) -> None:
        """
        Another user may not connect.
        """
        self.session.remark("another user than root and the one that the MTA runs as")
        self.mta.control_socket.chmod(0)
        self.both("empathctl system ping", powerless=True)
        self.mta.control_socket.chmod(0o600)

    def version(self) -> None:
        """
        Asked in a version of the protocol that is not spoken there.
        """
        self.session.remark("an empathctl of a later release, which asks in version 2 of the protocol")
        self.meddled("empathctl system ping", of_version(2))

    def sizes(self) -> None:
        """
        A request and an answer that are larger than they may be.
        """
        self.session.remark("a request of more than 1 MB, and an answer of more than 10 MB")
        (self.mta.folder / "huge.toml").write_text("# much to say\n" * 100_000)
        self.both("empathctl config diff huge.toml")
        self.meddled("empathctl queue list", whole=0, instead=OVERSIZED)

    def waiting_mail(self) -> None:
        """
        Mail that is listed and moved below.
        """
        freeze = ["queue", "freeze", "--token-file", "token", "--socket", str(self.mta.control_socket)]
        (self.mta.folder / "token").write_text(TOKEN)
        Session("none", self.mta.folder, {}, {}).run("", freeze)
        for number in range(5):
            self.send(self.mta, [f"you@{number}.test"])

    def broken_off(self) -> None:
        """
        The MTA dies in the middle of a page, in that of a listing, and in that of a verb that takes its time.
        """
        self.session.remark("the connection breaks in the middle of a page, as when the MTA is killed")
        self.meddled("empathctl queue list --all", whole=0)
        self.session.remark("it breaks at the second page: what was printed before is no whole answer")
        self.meddled("empathctl queue list --all --limit 4", in_small_pages, whole=1)
        self.session.remark("it breaks while mail is moved")
        self.meddled("empathctl queue hold --all", whole=0)

    def silence(self) -> None:
        """
        It runs, and does not answer.
        """
        self.session.remark("the MTA hangs (kill -STOP)")
        os.kill(self.mta.running().pid, signal.SIGSTOP)
        try:
            self.both("empathctl system ping --timeout 0.5")
        finally:
            os.kill(self.mta.running().pid, signal.SIGCONT)

    def nobody_there(self) -> None:
        """
        It was killed, or stopped.
        """
        self.session.remark("the MTA was killed, and left its socket behind")
        self.mta.kill()
        self.both("empathctl system ping")
        self.session.remark("the MTA was stopped, or never ran")
        self.mta.control_socket.unlink()
        self.both("empathctl system ping")
