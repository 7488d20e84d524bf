"""
A real DNS server on loopback: Debian's unbound, with zones that a test writes and rewrites.
"""

from __future__ import annotations

import shutil
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from tests.e2e.ports import free_port
from tests.e2e.processes import Program, require_program

CONFIGURATION = """\
server:
  interface: 127.0.0.1@{port}
  port: {port}
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  do-daemonize: no
  do-ip6: no
  num-threads: 1
  access-control: 127.0.0.0/8 allow
  module-config: "iterator"
  local-zone: "." static
  local-zone: "test." static
{records}
remote-control:
  control-enable: no
"""


class LocalDns:
    """
    Serves exactly the records it was given; every other name under it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._unbound = require_program("unbound")
        self._folder = folder
        self.port = free_port()
        self._records: list[str] = []
        self._program: Program | None = None

    @property
    def server(self) -> str:
        """
        What belongs into `[delivery.dns] servers`.
        """
        return f"127.0.0.1:{self.port}"

    def serve(self, records: Iterable[str]) -> None:
        """
        Start, or start again, with these records ("one.test. 5 IN MX 10 mx1.one.test.").
        """
        self._records = list(records)
        self.resume()

    def resume(self) -> None:
        """
        Start again with the records as they were.
        """
        self.stop()
        text = "\n".join(f"  local-data: '{record}'" for record in self._records)
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / "unbound.conf"
        file.write_text(CONFIGURATION.format(port=self.port, folder=self._folder, records=text))
        self._program = Program([self._unbound, "-d", "-c", str(file)], self._folder / "unbound.log", self._folder)
        self._program.wait_for(self._answers)

    def stop(self) -> None:
        """
        Fall silent; harmless when repeated.
        """
        program, self._program = self._program, None
        if program is not None:
            program.terminate(10)

    def remove(self) -> None:
        """
        Stop and delete what it wrote.
        """
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        """
        Ask for the root's SOA and take any answer.
        """
        question = struct.pack(">6H", 4711, 0x0100, 1, 0, 0, 0) + b"\0" + struct.pack(">2H", 6, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.2)
            try:
                asking.sendto(question, ("127.0.0.1", self.port))
                return asking.recv(512)[:2] == question[:2]
            except OSError:
                return False


def mail_zone(domain: str, *hosts: str) -> list[str]:
    """
    Records of a domain whose MX hosts have these addresses, the first preferred.
    """
    records = [f"{domain}. 5 IN MX {10 * nth} mx{nth}.{domain}." for nth in range(1, len(hosts) + 1)]
    return records + [f"mx{nth}.{domain}. 5 IN A {host}" for nth, host in enumerate(hosts, 1)]


def null_mx(domain: str) -> list[str]:
    """
    Records of a domain that takes no mail (RFC 7505).
    """
    return [f"{domain}. 5 IN MX 0 ."]
