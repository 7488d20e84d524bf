"""
Peers and clients that we did not write: Postfix, its smtp-sink and smtp-source, swaks.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs

from tests.e2e.processes import START_BOUND, Program, require, require_program, wait_until

UNPRIVILEGED = "nobody"
CLIENT_BOUND = 300.0


@attrs.frozen(slots=True)
class Dumped:
    """
    A message as a Debian peer has kept it: its recipients, and its content with LF as line end.
    """

    recipients: tuple[str, ...]
    content: bytes


def greets(address: str, port: int) -> bool:
    """
    Tell whether an SMTP server says 220 there.
    """
    try:
        with socket.create_connection((address, port), timeout=2) as connection:
            return connection.recv(64).startswith(b"220")
    except OSError:
        return False


class SmtpSink:
    """
    Postfix's smtp-sink, keeping each transaction in a file of its own.
    """

    def __init__(self, address: str, port: int, folder: Path, options: Sequence[str] = ()) -> None:
        self._sink = require_program("smtp-sink")
        self._at = (address, port)
        self._folder = folder
        self._options = list(options)
        self._program: Program | None = None

    def start(self) -> None:
        """
        Listen.
        """
        mail = self._folder / "mail"
        mail.mkdir(parents=True, exist_ok=True)
        mail.chmod(0o777)
        user = ["-u", UNPRIVILEGED] if os.geteuid() == 0 else []
        arguments = [self._sink, *user, *self._options, "-d", f"{mail}/m.", "{}:{}".format(*self._at), "1024"]
        self._program = Program(arguments, self._folder / "sink.log", self._folder)
        self._program.wait_for(lambda: greets(*self._at))

    def stop(self) -> None:
        """
        Be gone; harmless when repeated.
        """
        if self._program is not None:
            self._program.kill()

    def count(self) -> int:
        """
        Count what has arrived or is arriving.
        """
        return len(os.listdir(self._folder / "mail"))

    def dumped(self) -> list[Dumped]:
        """
        Read all that was kept. The sink writes a file as the bytes come: stop it or wait before reading.
        """
        return [self._read(file.read_bytes()) for file in sorted((self._folder / "mail").iterdir())]

    @staticmethod
    def _read(raw: bytes) -> Dumped:
        found = re.match(rb"((?:X-[^\n]*\n)+)Received: [^\n]*\n(?:\t[^\n]*\n){2}", raw)
        if found is None:
            raise AssertionError(f"no smtp-sink headers: {raw[:300]!r}")
        recipients = re.findall(rb"^X-Rcpt-Args: <([^>]*)>", found[1], re.M)
        content = raw[found.end() :]
        return Dumped(tuple(each.decode() for each in recipients), content.removesuffix(b"\n"))


MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = postfix.test
mydestination =
local_recipient_maps =
local_header_rewrite_clients =
message_drop_headers =
line_length_limit = 200000
header_size_limit = 200000
message_size_limit = 0
mailbox_size_limit = 0
virtual_mailbox_limit = 0
mynetworks = 127.0.0.0/8
disable_dns_lookups = yes
smtp_host_lookup = native
alias_maps =
alias_database =
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
"""


class Postfix:
    """
    A whole Postfix in a folder of its own that keeps mail for one domain, a maildir a recipient; needs root.

    `main` are more lines of main.cf, which win over the usual ones.
    """

    def __init__(self, address: str, port: int, domain: str, folder: Path, main: Sequence[str] = ()) -> None:
        self._postfix = require_program("postfix")
        require(os.geteuid() == 0, "Postfix can be started by root only")
        self._at = (address, port)
        self._domain = domain
        self._folder = folder
        self._main = main

    def start(self) -> None:
        """
        Write its configuration and start it.
        """
        folder = self._folder
        for name in ("etc", "spool", "data", "mail"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for each in (folder.parent, folder):
            each.chmod(0o755)
        unprivileged, own = pwd.getpwnam(UNPRIVILEGED), pwd.getpwnam("postfix")
        os.chown(folder / "mail", unprivileged.pw_uid, unprivileged.pw_gid)
        os.chown(folder / "data", own.pw_uid, -1)
        self._configure(unprivileged.pw_uid, unprivileged.pw_gid)
        self._run("start")
        wait_until("Postfix answers", lambda: greets(*self._at), START_BOUND)

    def stop(self) -> None:
        """
        Stop all its processes; harmless when repeated.
        """
        if (self._folder / "etc" / "master.cf").exists():
            self._run("stop", check=False)
            shutil.rmtree(self._folder / "etc")

    def kept(self) -> list[Dumped]:
        """
        Read what arrived in the maildirs, without the two headers that its delivery put on top.
        """
        return [self._read(file) for file in sorted((self._folder / "mail").glob("*/new/*"))]

    def log(self) -> str:
        """
        What Postfix logged.
        """
        return (self._folder / "maillog").read_text(errors="replace")

    def _configure(self, uid: int, gid: int) -> None:
        etc = self._folder / "etc"
        text = MAIN_CF.format(folder=self._folder, domain=self._domain, uid=uid, gid=gid)
        changed = {line.partition("=")[0].strip() for line in self._main}
        kept = [line for line in text.splitlines() if line.partition("=")[0].strip() not in changed]
        (etc / "main.cf").write_text("\n".join([*kept, *self._main, ""]))
        master = Path("/usr/share/postfix/master.cf.dist").read_text()
        listener = "{}:{} inet n - n - - smtpd".format(*self._at)
        master = re.sub(r"^smtp      inet.*$", listener, master, flags=re.M)
        master = re.sub(r"^#tlsproxy", "tlsproxy", master, flags=re.M)
        master = re.sub(r"^([a-z-]+ +(?:unix|unix-dgram) +[yn-] +[yn-] +)[y-] ", r"\1n ", master, flags=re.M)
        (etc / "master.cf").write_text(master)

    def _run(self, verb: str, check: bool = True) -> None:
        command = [self._postfix, "-c", str(self._folder / "etc"), verb]
        subprocess.run(command, check=check, capture_output=True, timeout=START_BOUND)

    @staticmethod
    def _read(file: Path) -> Dumped:
        own, content = file.read_bytes().split(b"\nReceived: ", 1)
        recipient = re.search(rb"^Delivered-To: (.*)$", own, re.M)
        if recipient is None:
            raise AssertionError(f"no Delivered-To: {own[:300]!r}")
        # Postfix's own Received, of several lines, is the first; what follows came over the wire.
        wire = re.sub(rb"\A[^\n]*\n(?:[ \t][^\n]*\n)*", b"", content)
        return Dumped((recipient[1].decode(),), wire)


def smtp_source(port: int, sender: str, recipient: str, count: int, sessions: int = 20, size: int = 4096) -> None:
    """
    Send `count` messages with Postfix's smtp-source, each to a recipient of its own: N + `recipient`, N from 0 or 1.
    """
    program = require_program("smtp-source")
    options = ["-s", str(sessions), "-l", str(size), "-m", str(count), "-N", "-f", sender, "-t", recipient]
    _run_client([program, *options, f"127.0.0.1:{port}"])


def swaks(port: int, sender: str, recipient: str, body: str) -> str:
    """
    Send one message with swaks; gives its transcript.
    """
    program = require_program("swaks")
    options = ["--server", f"127.0.0.1:{port}", "--from", sender, "--to", recipient, "--body", body, "--timeout", "30"]
    return _run_client([program, *options])


def _run_client(command: list[str]) -> str:
    ran = subprocess.run(command, capture_output=True, timeout=CLIENT_BOUND, text=True, errors="replace", check=False)
    if ran.returncode != 0:
        raise AssertionError(f"{command[0]} ended with {ran.returncode}: {ran.stdout[-1500:]}{ran.stderr[-500:]}")
    return ran.stdout
