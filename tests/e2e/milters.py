"""
Milters that we did not write: Debian's rspamd and OpenDKIM, and libmilter doing what a test says; each in a folder of
its own, by TCP or UNIX socket.
"""

from __future__ import annotations

import base64
import json
import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.e2e.ports import free_port
from tests.e2e.processes import Program, require, require_program

RSPAMD_STARTS = 120.0  # seconds: it compiles its patterns, on however slow a machine
RSPAMD_CONFIGURATION = "/etc/rspamd/rspamd.conf"
RSPAMD_LOCAL = {
    "worker-normal.inc": "enabled = false;\n",
    "worker-controller.inc": "enabled = false;\n",
    "worker-proxy.inc": """\
bind_socket = "127.0.0.1:{port}";
milter = yes;
timeout = 60s;
upstream "local" {{ default = yes; self_scan = yes; }}
count = 1;
""",
    "options.inc": """\
dns {{ nameserver = ["127.0.0.1:{nowhere}"]; timeout = 0.1s; retransmits = 1; }}
disable_hyperscan = true;
url_tld = "{folder}/tld";
""",
    "logging.inc": 'type = "console";\nlevel = "info";\n',
    "milter_headers.conf": """\
use = ["x-spamd-bar", "authentication-results"];
skip_local = false;
skip_authenticated = false;
""",
}
OPENDKIM_CONFIGURATION = """\
Syslog no
SyslogSuccess no
Mode s
Domain {domain}
Selector {selector}
KeyFile {folder}/key.pem
RequireSafeKeys no
Canonicalization {canonicalization}
OversignHeaders From
InternalHosts 127.0.0.1
Socket {socket}
UserID {user}
"""
SELECTOR = "first"
DEBIANS_PYTHON = "/usr/bin/python3"
SCRIPTED = Path(__file__).with_name("programs") / "scripted_milter.py"


def listens(port: int) -> bool:
    """
    Tell whether somebody accepts connections there.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


class Rspamd:
    """
    rspamd with the rules that Debian ships, scanning in its milter worker, without Redis and without a DNS server.
    """

    def __init__(self, folder: Path) -> None:
        self._rspamd = require_program("rspamd")
        self._folder = folder
        self.port = free_port()
        self._program: Program | None = None

    @property
    def endpoint(self) -> str:
        """
        Where it listens, as Postfix writes it.
        """
        return f"inet:127.0.0.1:{self.port}"

    def start(self) -> None:
        """
        Start and wait until it listens.
        """
        local = self._folder / "conf" / "local.d"
        for each in (local, self._folder / "db", self._folder / "run", self._folder / "log"):
            each.mkdir(parents=True, exist_ok=True)
        nowhere = free_port()
        for name, text in RSPAMD_LOCAL.items():
            (local / name).write_text(text.format(port=self.port, nowhere=nowhere, folder=self._folder))
        (self._folder / "tld").write_text("test\n")  # the real list takes it seconds to read
        places = {"LOCAL_CONFDIR": "conf", "DBDIR": "db", "RUNDIR": "run", "LOGDIR": "log"}
        variables = [word for name, below in places.items() for word in ("--var", f"{name}={self._folder / below}")]
        command = [self._rspamd, "-f", "-i", "-c", RSPAMD_CONFIGURATION, *variables]
        self._program = Program(command, self._folder / "rspamd.log", self._folder)
        self._program.wait_for(lambda: listens(self.port), RSPAMD_STARTS)

    def stop(self) -> None:
        """
        End it; harmless when repeated.
        """
        if self._program is not None:
            self._program.terminate()


class OpenDkim:
    """
    OpenDKIM as a signer for one domain. `unix`: it listens on a UNIX socket.
    """

    def __init__(self, folder: Path, domain: str, canonicalization: str, unix: bool = False) -> None:
        self._opendkim = require_program("opendkim")
        self._folder = folder
        self._domain = domain
        self._canonicalization = canonicalization
        self._port = free_port()
        self._unix = unix
        self._program: Program | None = None
        self._key = generate_private_key(65537, 2048)

    @property
    def endpoint(self) -> str:
        """
        Where it listens.
        """
        return f"unix:{self._folder}/milter.sock" if self._unix else f"tcp:127.0.0.1:{self._port}"

    def record(self, name: bytes, timeout: float = 5.0) -> bytes | None:
        """
        Give the TXT record of the key as a DNS server would.
        """
        if name.rstrip(b".") != f"{SELECTOR}._domainkey.{self._domain}".encode():
            return None
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)

    def start(self) -> None:
        """
        Start, or start again, and wait until it listens.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        private = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self._folder / "key.pem").write_bytes(private)
        socket_path = self._folder / "milter.sock"
        socket_path.unlink(missing_ok=True)
        text = OPENDKIM_CONFIGURATION.format(
            domain=self._domain,
            selector=SELECTOR,
            folder=self._folder,
            canonicalization=self._canonicalization,
            socket=f"local:{socket_path}" if self._unix else f"inet:{self._port}@127.0.0.1",
            user=pwd.getpwuid(os.geteuid()).pw_name,
        )
        (self._folder / "opendkim.conf").write_text(text)
        command = [self._opendkim, "-f", "-x", str(self._folder / "opendkim.conf")]
        self._program = Program(command, self._folder / "opendkim.log", self._folder)
        self._program.wait_for(socket_path.exists if self._unix else lambda: listens(self._port))

    def kill(self) -> None:
        """
        End it by SIGKILL; harmless when repeated.
        """
        if self._program is not None:
            self._program.kill()

    def remove(self) -> None:
        """
        End it, and leave nothing behind.
        """
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


class Scripted:
    """
    libmilter, by Debian's python3-milter: it calls what `script` has for each of its hooks.
    """

    def __init__(self, folder: Path) -> None:
        tried = [require_program(DEBIANS_PYTHON), "-c", "import Milter"]
        require(subprocess.run(tried, check=False).returncode == 0, "python3-milter is not installed")
        self._folder = folder
        self._port = free_port()
        self._program: Program | None = None

    @property
    def endpoint(self) -> str:
        """
        Where it listens.
        """
        return f"tcp:127.0.0.1:{self._port}"

    def does(self, **script: Any) -> None:
        """
        Tell what it is to do from now on: {"eom": [["addheader", "X-A", "b"]]}.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        new = self._folder / "script.new"
        new.write_text(json.dumps(script))
        new.replace(self._folder / "script.json")

    def heard(self, hook: str) -> list[list[Any]]:
        """
        What one of its hooks was called with, so far.
        """
        file = self._folder / "heard"
        lines = file.read_text().splitlines() if file.exists() else []
        return [words[1:] for words in map(json.loads, lines) if words[0] == hook]

    def start(self) -> None:
        """
        Start, or start again, and wait until it listens.
        """
        command = [DEBIANS_PYTHON, str(SCRIPTED), f"inet:{self._port}@127.0.0.1", str(self._folder)]
        self._program = Program(command, self._folder / "milter.log", self._folder)
        self._program.wait_for(lambda: listens(self._port))

    def signal(self, number: int) -> None:
        """
        Send a signal.
        """
        if self._program is not None:
            self._program.signal(number)

    def kill(self) -> None:
        """
        End it by SIGKILL; harmless when repeated.
        """
        if self._program is not None:
            self._program.kill()
