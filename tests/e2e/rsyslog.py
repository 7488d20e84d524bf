"""
Debian's rsyslogd, which nobody of us wrote, as the place that records go to.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from tests.e2e.processes import Program, require_program, wait_until

CONFIGURATION = """\
global(workDirectory="{folder}" maxMessageSize="128k" parser.escapeControlCharactersOnReceive="on" {trust})
template(name="fields" type="list" option.jsonf="off") {{
  property(name="pri") constant(value="\\t")
  property(name="timereported" dateFormat="rfc3339") constant(value="\\t")
  property(name="hostname") constant(value="\\t")
  property(name="app-name") constant(value="\\t")
  property(name="procid") constant(value="\\t")
  property(name="msgid") constant(value="\\t")
  property(name="structured-data") constant(value="\\t")
  property(name="msg") constant(value="\\n")
}}
{module}
{listener}
action(type="omfile" file="{folder}/got" template="fields" flushInterval="1" asyncWriting="off")
"""
TRUST = (
    'defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{folder}/ca.pem"'
    ' defaultNetstreamDriverCertFile="{folder}/cert.pem" defaultNetstreamDriverKeyFile="{folder}/key.pem"'
)
WAYS = {
    "udp": ('module(load="imudp")', 'input(type="imudp" address="127.0.0.1" port="{port}")'),
    "unix": (
        'module(load="imuxsock" sysSock.use="off")',
        'input(type="imuxsock" socket="{folder}/log" useSpecialParser="off" ignoreTimestamp="off")',
    ),
    "tcp": ('module(load="imtcp")', 'input(type="imtcp" address="127.0.0.1" port="{port}")'),
    "tls": (
        'module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")',
        'input(type="imtcp" address="127.0.0.1" port="{port}")',
    ),
}


@attrs.frozen
class Got:
    """
    A message as rsyslogd understood it.
    """

    priority: str
    time: str
    hostname: str
    program: str
    process: str
    message_id: str
    structured: str
    text: str


class Rsyslog:
    """
    One that listens in one way ("udp", "unix", "tcp", "tls") on a port of 127.0.0.1, and keeps what it gets. For "tls",
    `ca.pem`, `cert.pem` and `key.pem` have to be in `folder`.
    """

    def __init__(self, folder: Path, way: str, port: int = 0) -> None:
        self._program_path = require_program("rsyslogd")
        self._folder = folder
        self._way = way
        self._port = port
        self._program: Program | None = None

    def start(self) -> None:
        """
        Listen.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        module, listener = WAYS[self._way]
        known = {"folder": self._folder, "port": self._port}
        trust = TRUST.format(**known) if self._way == "tls" else ""
        text = CONFIGURATION.format(**known, trust=trust, module=module, listener=listener.format(**known))
        (self._folder / "rsyslog.conf").write_text(text)
        pid = self._folder / "pid"
        pid.unlink(missing_ok=True)
        arguments = [self._program_path, "-n", "-f", str(self._folder / "rsyslog.conf"), "-i", str(pid)]
        self._program = Program(arguments, self._folder / "rsyslog.log", self._folder)
        self._program.wait_for(pid.exists)

    def stop(self) -> None:
        """
        Write all and be gone; harmless when repeated.
        """
        if self._program is not None and self._program.exit_code is None:
            self._program.terminate(10.0)

    def got(self) -> list[Got]:
        """
        Read what was written so far, whole lines only.
        """
        path = self._folder / "got"
        text = path.read_text() if path.exists() else ""
        whole = text[: text.rfind("\n") + 1].splitlines()
        return [Got(*line.split("\t", 7)) for line in whole if line.split("\t")[3] == "empath"]

    def wait_got(self, event: str, seconds: float = 30.0) -> list[Got]:
        """
        Wait for a record of an event.
        """
        wait_until(
            f"rsyslogd got {event}", lambda: any(f'"event":"{event}"' in each.text for each in self.got()), seconds
        )
        return self.got()
