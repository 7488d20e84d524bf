"""
Dovecot's LMTP server, which keeps the mailboxes of a test; it runs from the test's own folder.
"""

from __future__ import annotations

import os
import pwd
import re
import socket
from collections.abc import Mapping
from pathlib import Path

import attrs

from tests.e2e.debian_peers import UNPRIVILEGED
from tests.e2e.processes import START_BOUND, Program, require, require_program, wait_until

CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = lmtp
listen = 127.0.0.1
ssl = no
first_valid_uid = 1
mail_location = maildir:~/mail
mail_plugins = quota
postmaster_address = postmaster@empath.test
hostname = dovecot.test
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=1G
  quota_grace = 0
}}
service lmtp {{
  chroot =
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


@attrs.frozen(slots=True)
class Kept:
    """
    A message in a mailbox: the reverse-path that LMTP told, and the content as it came, with LF as line end.
    """

    sender: str
    content: bytes


class Dovecot:
    """
    Serves LMTP at the UNIX socket `socket` and at 127.0.0.1:`port`; needs root. `quotas` are bytes by recipient: those
    whom it has mailboxes for, 0 for as much as there is.
    """

    def __init__(self, folder: Path, port: int, quotas: Mapping[str, int]) -> None:
        self._dovecot = require_program("dovecot")
        require(os.geteuid() == 0, "Dovecot can be started by root only")
        require(Path("/usr/lib/dovecot/lmtp").exists(), "dovecot-lmtpd is not installed")
        self._folder = folder
        self._quotas = quotas
        self._port = port
        self._program: Program | None = None

    @property
    def socket(self) -> Path:
        """
        Where it listens.
        """
        return self._folder / "lmtp"

    def start(self) -> None:
        """
        Write its configuration and start it.
        """
        folder = self._folder
        folder.mkdir(parents=True, exist_ok=True)
        for each in (folder.parent, folder):
            each.chmod(0o755)
        unprivileged = pwd.getpwnam(UNPRIVILEGED)
        self._make_users(unprivileged)
        text = CONFIGURATION.format(folder=folder, port=self._port, user="dovecot", group="dovecot")
        (folder / "dovecot.conf").write_text(text)
        self._program = Program(
            [self._dovecot, "-F", "-c", str(folder / "dovecot.conf")], folder / "program.log", folder
        )
        wait_until("Dovecot answers", self._greets, START_BOUND)

    def stop(self) -> None:
        """
        Be gone, its other processes with it; harmless when repeated.
        """
        if self._program is not None:
            self._program.terminate()

    def kept(self, recipient: str) -> list[Kept]:
        """
        Read a mailbox.
        """
        folder = self._folder / "home" / recipient / "mail" / "new"
        return [_read(file.read_bytes()) for file in sorted(folder.iterdir())] if folder.exists() else []

    def log(self) -> str:
        """
        What Dovecot logged.
        """
        return (self._folder / "dovecot.log").read_text(errors="replace")

    def _make_users(self, owner: pwd.struct_passwd) -> None:
        home = self._folder / "home"
        home.mkdir(exist_ok=True)
        os.chown(home, owner.pw_uid, owner.pw_gid)
        lines = []
        for name, quota in self._quotas.items():
            rule = f"userdb_quota_rule=*:bytes={quota}" if quota else ""
            lines.append(f"{name}:{{PLAIN}}secret:{owner.pw_uid}:{owner.pw_gid}::{home}/{name}::{rule}")
        (self._folder / "users").write_text("\n".join([*lines, ""]))

    def _greets(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(2)
                connection.connect(str(self.socket))
                return connection.recv(64).startswith(b"220")
        except OSError:
            return False


def _read(raw: bytes) -> Kept:
    """
    Take off what Dovecot puts on top: Return-Path, Delivered-To where there was one recipient, and its own Received.
    """
    path, rest = raw.split(b"\n", 1)
    rest = re.sub(rb"\A(?:Delivered-To: .*\n)?Received: .*\n(?:[ \t].*\n)*", b"", rest)
    return Kept(path.removeprefix(b"Return-Path: <").removesuffix(b">").decode(), rest)
