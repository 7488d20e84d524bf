"""
Mail clients that we did not write and do not change, each as a command that ends: swaks, curl, msmtp, nodemailer, Exim,
Python's smtplib in a process of its own, sslyze.

Debian's packages are taken from where they are installed; what is not installed with them (nodemailer from npm, sslyze
from PyPI, an Exim that would push Postfix aside) is looked for in `.peers` of this tree, where `.ci/run` puts it, or
where EMPATH_PEERS says.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from tests.e2e.processes import require, require_program

ROOT = Path(__file__).parents[2]
BOUND = 60.0


@attrs.frozen(slots=True)
class Ran:
    """
    How a client ended, and all that it wrote.
    """

    code: int
    output: str


def peers() -> Path:
    """
    The folder of the clients that Debian's package manager did not install.
    """
    return Path(os.environ.get("EMPATH_PEERS") or ROOT / ".peers")


def require_file(path: str, what: str) -> Path:
    """
    Find a file below `peers()`; without it the test is skipped, or fails where EMPATH_REQUIRE_PEERS=1.
    """
    found = peers() / path
    require(found.exists(), f"{what} is not in {peers()}")
    return found


def run(command: Sequence[str], stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> Ran:
    """
    Run a client to its end, in at most `BOUND` seconds.
    """
    ran = subprocess.run(
        list(command),
        input=stdin,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=BOUND,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout.decode(errors="replace"))


def swaks(*options: str) -> Ran:
    """
    Run swaks with options of the test's choice; some need a Perl module that swaks only recommends.
    """
    program = require_program("swaks")
    for prefix, lacking in (("--tls", "TLS not available"), ("-6", "IPv6 not available")):
        if any(option.startswith(prefix) for option in options):
            require(lacking not in run([program, "--support"]).output, f"swaks says: {lacking}")
    return run([program, "--timeout", "30", "--helo", "swaks.client.test", *options])


def curl(content: bytes | None, *options: str) -> Ran:
    """
    Send `content` with curl, or do something without any, showing the dialogue.
    """
    upload = [] if content is None else ["--upload-file", "-"]
    return run([require_program("curl"), "-sv", "--max-time", "30", *upload, *options], content or b"")


def msmtp(content: bytes, recipients: Sequence[str], *options: str) -> Ran:
    """
    Send `content` with msmtp, showing the dialogue.
    """
    program = require_program("msmtp")
    return run([program, "--file=/dev/null", "--debug", "--timeout=30", *options, *recipients], content)


def nodemailer(transport: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Send messages with one transport of nodemailer, all at once; gives its answer to each, in their order: what
    `sendMail` told, or `{"error": …, "code": …, "responseCode": …}`.
    """
    modules = require_file("nodemailer/node_modules/nodemailer", "nodemailer").parent
    script = Path(__file__).with_name("nodemailer") / "send.js"
    order = json.dumps({"transport": transport, "messages": messages}).encode()
    ran = run([require_program("node"), str(script)], order, {"NODE_PATH": str(modules)})
    if ran.code:
        raise AssertionError(f"node ended with {ran.code}: {ran.output[-2000:]}")
    answers: list[dict[str, Any]] = json.loads(ran.output.splitlines()[-1])
    return answers


def sslyze(target: str, folder: Path, *options: str) -> dict[str, Any]:
    """
    Scan `target` with sslyze; gives its result for it.
    """
    program = require_file("sslyze/bin/sslyze", "sslyze")
    report = folder / "sslyze.json"
    ran = run([str(program), f"--json_out={report}", "--quiet", "--mozilla_config=disable", *options, target])
    results = json.loads(report.read_text())["server_scan_results"] if report.exists() else []
    if not results or results[0]["scan_result"] is None:
        raise AssertionError(f"no scan, exit code {ran.code}: {ran.output[-2000:]} {results}")
    scanned: dict[str, Any] = results[0]["scan_result"]
    return scanned


EXIM = """\
primary_hostname = exim.test
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
exim_path = {program}
exim_user = mail
exim_group = mail
trusted_users = root : mail
deliver_drop_privilege = true
keep_environment =
disable_ipv6 = true
begin acl
begin routers
everything:
  driver = manualroute
  route_list = * localhost::{port} byname
  self = send
  transport = onward
begin transports
onward:
  driver = smtp
  hosts_try_chunking = *
  hosts_require_tls = *
  tls_sni = {name}
  tls_verify_certificates = {authority}
  tls_verify_hosts = *
  hosts_try_dane =
"""
WRAPPER = "nss/usr/lib/x86_64-linux-gnu/libnss_wrapper.so"
ACCOUNTS = "root:x:0:0::/:/bin/sh\nmail:x:8:8::/:/bin/sh\nDebian-exim:x:8:8::/:/bin/sh\n"
GROUPS = "root:x:0:\nmail:x:8:\nDebian-exim:x:8:\n"


def exim(content: bytes, sender: str, recipients: Sequence[str], port: int, folder: Path, authority: Path) -> str:
    """
    Send `content` with Debian's Exim, TLS with a good certificate required; gives Exim's log.

    Exim is unpacked, not installed, so the account that it insists on is shown to it alone (nss_wrapper). Needs root.
    """
    program = require_file("exim/usr/sbin/exim4", "Exim")
    wrapper = require_file(WRAPPER, "nss_wrapper")
    require(os.geteuid() == 0, "Exim can be started by root only")
    (folder / "spool").mkdir(parents=True)
    for path in (folder, folder / "spool"):
        os.chown(path, 8, 8)
    text = EXIM.format(folder=folder, program=program, port=port, authority=authority, name="mx.empath.test")
    for name, kept in (("conf", text), ("passwd", ACCOUNTS), ("group", GROUPS)):
        (folder / name).write_text(kept)
    shown = {"NSS_WRAPPER_PASSWD": str(folder / "passwd"), "NSS_WRAPPER_GROUP": str(folder / "group")}
    command = [str(program), "-C", str(folder / "conf"), "-odi", "-i", "-f", sender, *recipients]
    ran = run(command, content, {"LD_PRELOAD": str(wrapper), **shown})
    log = (folder / "mainlog").read_text() if (folder / "mainlog").exists() else ""
    if ran.code:
        raise AssertionError(f"Exim ended with {ran.code}: {ran.output[-1000:]} {log[-1000:]}")
    return log
