"""
Receivers that we did not write, beside Postfix: Exim, Dovecot's LMTP server, Haraka. Each keeps what it gets.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from tests.e2e.clients import ACCOUNTS, GROUPS, WRAPPER, require_file
from tests.e2e.debian_peers import UNPRIVILEGED, Dumped, Postfix, greets
from tests.e2e.processes import Program, require, require_program
from tests.e2e.program import HOSTNAME

_OURS: Final = re.compile(
    rb"^Received: [^\n]*(?:\n[ \t][^\n]*)* by %s (?:[^\n]*\n[ \t])*[^\n]*\n" % re.escape(HOSTNAME.encode()), re.M
)


class Receiver(Protocol):
    """
    A server that keeps mail.
    """

    def start(self) -> None:
        """
        Start it and wait until it answers.
        """

    def stop(self) -> None:
        """
        Stop it; harmless when repeated.
        """

    def count(self) -> int:
        """
        Count the files that it keeps.
        """

    def kept(self) -> Iterator[Dumped]:
        """
        Read what it keeps, without what it and empath put on top; line ends are LF.
        """


def beneath(raw: bytes) -> tuple[bytes, bytes]:
    """
    Tell what stands on top of a message, down to the Received field of empath, and what below.
    """
    text = raw.replace(b"\r\n", b"\n")
    found = _OURS.search(text)
    if found is None:
        raise AssertionError(f"empath's Received is missing: {raw[:600]!r}")
    return text[: found.start()], text[found.end() :]


def _in_maildirs(folder: Path, field: bytes) -> Iterator[Dumped]:
    for file in sorted(folder.glob("**/new/*")):
        top, content = beneath(file.read_bytes())
        named = re.search(rb"^%s: ?<?([^>\n]*)>?$" % field, top, re.M | re.I)
        if named is None:
            raise AssertionError(f"no {field.decode()}: {top!r}")
        yield Dumped((named[1].decode(),), content)


class KeepingPostfix:
    """
    A Postfix; `main` are more lines of its main.cf.
    """

    def __init__(self, port: int, domain: str, folder: Path, *main: str) -> None:
        self._mail = folder / "mail"
        self._postfix = Postfix("127.0.0.1", port, domain, folder, ["virtual_mailbox_limit = 0", *main])

    def start(self) -> None:
        self._postfix.start()

    def stop(self) -> None:
        self._postfix.stop()

    def count(self) -> int:
        return len(list(self._mail.glob("*/new/*")))

    def kept(self) -> Iterator[Dumped]:
        return _in_maildirs(self._mail, b"Delivered-To")


EXIM = """\
primary_hostname = exim.test
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
exim_path = {program}
exim_user = mail
exim_group = mail
deliver_drop_privilege = true
keep_environment =
disable_ipv6 = true
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_advertise_hosts =
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
rfc1413_query_timeout = 0s
message_size_limit = 0
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
recipients_max = 0
acl_smtp_rcpt = all
acl_smtp_predata = all
acl_smtp_data = all
begin acl
all:
  accept
begin routers
everybody:
  driver = accept
  transport = keep
begin transports
keep:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  envelope_to_add
"""


class Exim:
    """
    Debian's Exim, unpacked; the account that it insists on is shown to it alone (nss_wrapper). Needs root.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self._port = port
        self._folder = folder
        self._program: Program | None = None

    def start(self) -> None:
        program = require_file("exim/usr/sbin/exim4", "Exim")
        wrapper = require_file(WRAPPER, "nss_wrapper")
        require(os.geteuid() == 0, "Exim can be started by root only")
        folder = self._folder
        for name in ("spool", "mail"):
            (folder / name).mkdir(parents=True)
        for path in (folder, folder / "spool", folder / "mail"):
            os.chown(path, 8, 8)
        text = EXIM.format(folder=folder, program=program, port=self._port)
        for name, kept in (("conf", text), ("passwd", ACCOUNTS), ("group", GROUPS)):
            (folder / name).write_text(kept)
        shown = {"NSS_WRAPPER_PASSWD": str(folder / "passwd"), "NSS_WRAPPER_GROUP": str(folder / "group")}
        command = [str(program), "-C", str(folder / "conf"), "-bdf", "-odb"]
        self._program = Program(command, folder / "output", folder, {"LD_PRELOAD": str(wrapper), **shown})
        self._program.wait_for(lambda: greets("127.0.0.1", self._port))

    def stop(self) -> None:
        if self._program is not None:
            self._program.kill()

    def count(self) -> int:
        return len(list((self._folder / "mail").glob("new/*")))

    def kept(self) -> Iterator[Dumped]:
        return _in_maildirs(self._folder / "mail", b"Envelope-to")


DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
instance_name = empath
protocols = lmtp
listen = 127.0.0.1
ssl = no
auth_username_chars =
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%n:INDEX=MEMORY
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%n allow_all_users=yes
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service lmtp {{
  chroot =
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""


class DovecotLmtp:
    """
    Dovecot's LMTP server, a maildir a recipient. Needs root.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self._port = port
        self._folder = folder
        self._program: Program | None = None

    def start(self) -> None:
        program = require_program("dovecot")
        require(Path("/usr/lib/dovecot/lmtp").exists(), "Dovecot's LMTP server is not installed")
        require(os.geteuid() == 0, "Dovecot can be started by root only")
        account = pwd.getpwnam(UNPRIVILEGED)
        folder = self._folder
        (folder / "mail").mkdir(parents=True)
        for path in (folder.parent, folder):
            path.chmod(0o755)
        os.chown(folder / "mail", account.pw_uid, account.pw_gid)
        text = DOVECOT.format(folder=folder, port=self._port, uid=account.pw_uid, gid=account.pw_gid)
        (folder / "conf").write_text(text)
        self._program = Program([program, "-F", "-c", str(folder / "conf")], folder / "output", folder)
        self._program.wait_for(lambda: greets("127.0.0.1", self._port))

    def stop(self) -> None:
        if self._program is not None:
            self._program.terminate()

    def count(self) -> int:
        return len(list((self._folder / "mail").glob("*/new/*")))

    def kept(self) -> Iterator[Dumped]:
        for file in sorted((self._folder / "mail").glob("*/new/*")):
            yield Dumped((file.parent.parent.name,), beneath(file.read_bytes())[1])


class Haraka:
    """
    Haraka, with a plugin that keeps all mail; `npm install` of tests/e2e/haraka/package.json has put it into .peers.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self._port = port
        self._folder = folder
        self._program: Program | None = None

    def start(self) -> None:
        program = require_file("haraka/node_modules/Haraka/bin/haraka", "Haraka")
        folder = self._folder
        for name in ("config", "plugins", "mail", "waiting"):
            (folder / name).mkdir(parents=True)
        shutil.copy(Path(__file__).parent / "haraka" / "keep.js", folder / "plugins")
        for name, text in (
            ("plugins", "keep\n"),
            ("me", "haraka.test\n"),
            ("smtp.ini", f"listen=127.0.0.1:{self._port}\nnodes=0\n"),
            (
                "connection.ini",
                f"[main]\nspool_dir={folder}/waiting\nsmtputf8=true\n"
                "[headers]\nadd_received=true\nclean_auth_results=false\nmax_lines=1000\nmax_received=100\n"
                "[max]\nbytes=0\nmime_parts=1000\nline_length=2000\ndata_line_length=1000000\n"
                "[message]\nhelo=Haraka\nclose=Haraka\n[uuid]\nbanner_chars=6\n",
            ),
        ):
            (folder / "config" / name).write_text(text)
        command = [require_program("node"), str(program), "-c", str(folder)]
        self._program = Program(command, folder / "output", folder, {"KEEP": str(folder / "mail")})
        self._program.wait_for(lambda: greets("127.0.0.1", self._port))

    def stop(self) -> None:
        if self._program is not None:
            self._program.kill()

    def count(self) -> int:
        return sum(len(json.loads(file.read_text())) for file in (self._folder / "mail").glob("*.json"))

    def kept(self) -> Iterator[Dumped]:
        for file in sorted((self._folder / "mail").glob("*.eml")):
            told = json.loads(file.with_suffix(".json").read_text())
            recipients = tuple(re.sub(r"^<|>$", "", each) for each in told)
            yield Dumped(recipients, beneath(file.read_bytes())[1])
