"""
The MTAs that are compared, each started in a folder of its own with its default durability.

Both log as they do by default, to a file, and hand all mail to one host by plain SMTP; neither asks the DNS.
`receive` means that mail is stored and nothing leaves: Postfix puts it on HOLD; empath has one delivery in flight, to a
peer that never greets, and all the rest waits in the queue behind it. Neither makes an attempt for any message counted.
"old:FOLDER" is the empath of another checkout, "empath+six" one with six idle modules (`MODULES`),
"empath+rsa2048" and "postfix+rsa2048" are such that sign (`signatures`). All run without an audit trail, but for
"empath+audit" and "empath+durable". Those of `observed` are watched.
"""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import accounting, idle, observed, signatures, trail

TOP = Path(__file__).parents[1]
MODULES = {"six": idle.SIX, "fired": idle.FIRED, "turn": idle.TURN}
START_PATIENCE = 30.0

EMPATH = """\
hostname = "empath.bench.test"
{control}[smtp]
max_commands = 100000000
max_messages = 100000000
[[smtp.listeners]]
endpoint = "tcp:{port}:interface=127.0.0.1:backlog=1024"
{tls}[spool]
path = "{folder}/spool"
[delivery]
max_parallel_deliveries = {parallel}
shutdown_timeout = "1s"
[delivery.connection_pool]
max_per_server = {connections}
max_messages = {messages}
[delivery.domains."*"]
mx_override = "127.0.0.1:{next_hop}"
"""

EMPATH_TLS = """\
tls = "starttls"
certificate = "{folder}/certificate.pem"
private_key = "{folder}/key.pem"
"""

EMPATH_ONWARD = """\
[delivery.tls]
default_policy = "required"
"""

POSTFIX_ONWARD = """\
smtp_tls_security_level = encrypt
smtp_tls_session_cache_database = btree:{folder}/data/smtp_scache
smtp_tls_connection_reuse = {shared}
"""

POSTFIX_TLS = """\
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/certificate.pem
smtpd_tls_key_file = {folder}/key.pem
"""

POSTFIX_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
myhostname = postfix.bench.test
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = {restrictions}
smtp_dns_support_level = disabled
smtp_host_lookup = native
relayhost = [127.0.0.1]:{next_hop}
"""

POSTFIX_SERVICES = """\
127.0.0.1:{port} inet n smtpd - -
pickup unix n pickup 60 1
cleanup unix n cleanup - 0
qmgr unix n qmgr 300 1
rewrite unix - trivial-rewrite - -
bounce unix - bounce - 0
defer unix - bounce - 0
trace unix - bounce - 0
flush unix n flush 1000? 0
proxymap unix - proxymap - -
proxywrite unix - proxymap - 1
smtp unix - smtp - -
relay unix - smtp - -
showq unix n showq - -
error unix - error - -
retry unix - error - -
anvil unix - anvil - 1
tlsmgr unix - tlsmgr 1000? 1
scache unix - scache - 1
tlsproxy unix - tlsproxy - 0
postlog unix-dgram n postlogd - 1
"""


@dataclass(frozen=True)
class Onward:
    """
    How mail goes on: over STARTTLS or not, and by connections that carry many messages or one each.
    """

    tls: bool = False
    shared: bool = True


ONWARD = Onward()


class Running:
    """
    An MTA that answers on `port`; `signer` is the pid of the OpenDKIM that signs for it.
    """

    def __init__(self, name: str, port: int, account: accounting.Account, log: Path, signer: int | None) -> None:
        self.name = name
        self.port = port
        self.account = account
        self.log = log
        self.signer = signer


def free_port() -> int:
    """
    Find a TCP port of the loopback interface that nobody has just now.
    """
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def black_hole() -> Iterator[int]:
    """
    Give the port of a peer whose kernel accepts connections and that never says a word.
    """
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield int(listening.getsockname()[1])


@contextmanager
def running(
    name: str, folder: Path, next_hop: int, receive_only: bool, tls: bool = False, onward: Onward = ONWARD
) -> Iterator[Running]:
    """
    Run an MTA, "empath", "empath+MODULES", "old:FOLDER" or "postfix", or one "+KEY", that hands its mail to the port
    `next_hop`.
    """
    name, _, checkout = name.partition(":")
    variant = name.partition("+")[2]
    modules, key = MODULES.get(variant, ""), signatures.key_of(name)
    with_postfix = name.startswith("postfix")
    folder.mkdir(mode=0o755)
    if tls:
        certify(folder)
    port, metrics, collector = free_port(), free_port(), free_port()
    if with_postfix:
        more = signatures.settings(signatures.POSTFIX, folder, key) if key else ""
        command = prepare_postfix(folder, port, next_hop, receive_only, tls, onward, more)
    else:
        more = signatures.settings(signatures.EMPATH, folder, key) if key else modules
        more = observed.sections(variant, metrics, free_port(), collector) + more
        control = trail.settings(folder, variant, Path(checkout) if checkout else TOP)
        command = prepare_empath(folder, port, next_hop, receive_only, tls, more, onward, control)
        path = checkout or (TOP if modules else "")
        command = ["env", f"PYTHONPATH={path}", *command] if path else command
    account = accounting.open_account(f"empath-benchmark-{os.getpid()}-{port}")
    log = folder / "output"
    signer = signatures.start_opendkim(folder, account, key) if with_postfix and key else None
    process = accounting.launch(command, account, log, folder)
    try:
        wait_for_banner(port, process, log)
        with observed.watching(variant, metrics, collector, folder / "watching"):
            yield Running(name, port, account, log, signer.pid if signer else None)
    finally:
        if with_postfix:
            subprocess.run([*postfix(folder), "stop"], capture_output=True, check=False)
        if signer is not None:
            signer.terminate()
            signer.wait()
        accounting.end(process, account)


def certify(folder: Path) -> None:
    """
    Make a certificate that nobody vouches for, and its key.
    """
    made = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem"), "-subj", "/CN=localhost"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", *kind, *made], capture_output=True, check=True)


def prepare_empath(
    folder: Path,
    port: int,
    next_hop: int,
    receive_only: bool,
    tls: bool,
    more: str = "",
    onward: Onward = ONWARD,
    control: str = "",
) -> list[str]:
    """
    Write empath's configuration, with `control` on top and `more` sections below; tells the command that runs it in the
    foreground.
    """
    file = folder / "empath.toml"
    file.write_text(
        EMPATH.format(
            folder=folder,
            control=control,
            port=port,
            next_hop=next_hop,
            tls=EMPATH_TLS.format(folder=folder) if tls else "",
            parallel=1 if receive_only else 100,
            connections=1 if receive_only else 20,
            messages=100 if onward.shared else 1,
        )
        + (EMPATH_ONWARD if onward.tls else "")
        + more
    )
    return [sys.executable, "-m", "empath", "--config", str(file)]


def prepare_postfix(
    folder: Path, port: int, next_hop: int, receive_only: bool, tls: bool, onward: Onward, more: str = ""
) -> list[str]:
    """
    Write Postfix's configuration (main.cf and an unprivileged master.cf without chroot); tells its command.
    """
    for name in ("etc", "queue", "data"):
        (folder / name).mkdir(mode=0o755)
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    hold = "check_client_access static:HOLD, " if receive_only else ""
    main = POSTFIX_MAIN.format(folder=folder, next_hop=next_hop, restrictions=f"{hold}permit_mynetworks, reject")
    if not onward.shared:
        main += "smtp_connection_cache_on_demand = no\n"
    if onward.tls:
        main += POSTFIX_ONWARD.format(folder=folder, shared="yes" if onward.shared else "no")
    (folder / "etc" / "main.cf").write_text(main + more + (POSTFIX_TLS.format(folder=folder) if tls else ""))
    lines = []
    for service in POSTFIX_SERVICES.format(port=port).splitlines():
        name, kind, private, program, wakeup, limit = service.split()
        lines.append(f"{name} {kind} {private} - n {wakeup} {limit} {program}\n")
    (folder / "etc" / "master.cf").write_text("".join(lines))
    return [*postfix(folder), "start-fg"]


def postfix(folder: Path) -> list[str]:
    """
    Begin a command for the Postfix of this folder.
    """
    return ["postfix", "-c", str(folder / "etc")]


def wait_for_banner(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """
    Wait until an MTA says 220; SystemExit with the end of its output if it does not.
    """
    deadline = time.monotonic() + START_PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                greeting = client.recv(512)
                client.sendall(b"QUIT\r\n")
                client.recv(512)
            if greeting.startswith(b"220"):
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise SystemExit(f"the MTA did not start:\n{log.read_text(errors='replace')[-2000:]}")
