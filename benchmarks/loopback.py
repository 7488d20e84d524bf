"""
Measure empath and Postfix on loopback: `python -m benchmarks.loopback --help`, from the top of the repository.

Needs Debian's postfix package (its smtp-source and smtp-sink; for the comparison root, too) and nothing else. No
system service is started or touched. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import hooks, load, mtas, observed, runs, signatures, table, trail

RESULTS = Path(__file__).parent / "results"
QUICK_COUNT = 1000
ONWARD = ["relay-counted", "relay-tls", "relay-tls-new", "relay-tls-resumed"]
WITH_TLS = "+rsa2048"  # over STARTTLS only these sign
SIGNED = ["relay", "relay-tls", "relay-tls-new"]
WHAT = {
    "compare": ["receive", "receive-tls", "relay"],
    "onward": ONWARD,
    "modules": ["receive", "relay"],
    "audit": ["relay"],
    "observed": ["relay"],
    "signed": SIGNED,
}
PROOFS = 50  # messages that each MTA which signs has to prove itself with
WITH_AUDIT = [f"empath+{name}" for name in trail.AUDITED]
WATCHED = [f"empath+{name}" for name in observed.VARIANTS]
WITH_MODULES = [f"empath+{name}" for name in mtas.MODULES]


def main(arguments: list[str] | None = None) -> int:
    """
    Do what the command line says; tells the exit code.
    """
    options = parser().parse_args(arguments)
    for program in ("smtp-source", "smtp-sink"):
        if shutil.which(program) is None:
            print(f"{program} is not installed (Debian: apt-get install postfix)", file=sys.stderr)
            return 69
    try:
        return int(options.do(options))
    except load.LoadFailed as trouble:
        print(f"failed: {trouble}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """
    Describe the command line.
    """
    top = argparse.ArgumentParser(prog="python -m benchmarks.loopback", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for name, help_text, do in (
        ("compare", "measure reception, with STARTTLS too, and relay, one message a connection and many", compare),
        ("relay", "measure smtp-source → MTA → smtp-sink only", compare),
        ("receive", "measure smtp-source → MTA only", compare),
        ("receive-tls", "measure a load over STARTTLS → MTA only", compare),
        ("onward", "measure the way to the next hop: connections, round trips, STARTTLS", compare),
        (
            "modules",
            "measure what modules cost: receive and relay with none, idle and waiting ones, and a hook",
            modules,
        ),
        ("audit", "measure relay without audit trail, with one, and with one that 250 waits for", audit),
        ("observed", "measure relay with metrics and traces off, scraped, and traced", watched),
        ("signed", "measure relay with DKIM signatures, over STARTTLS too, beside Postfix with OpenDKIM", signed),
        ("ceiling", "measure smtp-source → smtp-sink: what the load itself can do", ceiling),
        ("serve", "run one MTA, relaying to an smtp-sink, until interrupted (to profile it)", serve),
    ):
        command = commands.add_parser(name, help=help_text)
        command.set_defaults(do=do, what=WHAT.get(name, [name]))
        add_options(command)
    return top


def add_options(command: argparse.ArgumentParser) -> None:
    """
    Add the options that all commands share.
    """
    signing = [f"{mta}+{key}" for mta in ("empath", "postfix") for key in signatures.KEYS]
    choices = ["empath", "postfix", *WITH_MODULES, *WITH_AUDIT, *WATCHED, *signing]
    command.add_argument("--mta", action="append", choices=choices, help="default: both, as installed")
    command.add_argument("--old", type=Path, help="a checkout of another commit, run beside")
    command.add_argument("--count", type=int, default=5000, help="messages a run (%(default)s)")
    command.add_argument("--size", type=int, default=4096, help="bytes a message (%(default)s)")
    command.add_argument("--sessions", type=int, default=20, help="connections at a time (%(default)s)")
    command.add_argument("--per-connection", choices=["one", "many", "both"], default="both")
    command.add_argument("--rounds", type=int, default=3, help="A B, A B, … (%(default)s)")
    command.add_argument("--quick", action="store_true", help=f"one round of {QUICK_COUNT} messages")
    command.add_argument("--folder", type=Path, help="where spools are made; a real disk, not a tmpfs")
    command.add_argument("--write", metavar="WHAT", help="also write results/DATE-WHAT.md")


def chosen_mtas(options: argparse.Namespace) -> list[str]:
    """
    Tell the MTAs to run: those asked for, or empath, and Postfix where it can be run.
    """
    old = [f"old:{options.old.resolve()}"] if options.old else []
    if options.mta:
        return [*dict.fromkeys(options.mta), *old]
    return ["empath", *old] + (["postfix"] if shutil.which("postfix") and os.getuid() == 0 else [])


def chosen_loads(options: argparse.Namespace, tls: bool = False) -> list[load.Load]:
    """
    Tell the loads to put on.
    """
    count = QUICK_COUNT if options.quick else options.count
    kinds = {"one": [False], "many": [True], "both": [False, True]}[options.per_connection]
    return [load.Load(count, options.size, options.sessions, many, tls) for many in kinds]


def compare(options: argparse.Namespace) -> int:
    """
    Measure and print the table; write it if asked.
    """
    text = measured(options, lambda _: chosen_mtas(options))
    print("\n" + text)
    write(options, text)
    return 0


def modules(options: argparse.Namespace) -> int:
    """
    Measure empath without and with modules, then what a hook costs by itself.
    """
    hooks_table = hooks.table(hooks.QUICK if options.quick else hooks.CALLS)
    old = [f"old:{options.old.resolve()}"] if options.old else []
    text = measured(options, lambda _: options.mta or ["empath", *old, *WITH_MODULES], hooks_table)
    print("\n" + text)
    write(options, text)
    return 0


def audit(options: argparse.Namespace) -> int:
    """
    Measure empath without and with the audit trail, and with one that is durable.
    """
    old = [f"old:{options.old.resolve()}"] if options.old else []
    text = measured(options, lambda _: options.mta or ["empath", *old, *WITH_AUDIT])
    print("\n" + text)
    write(options, text)
    return 0


def watched(options: argparse.Namespace) -> int:
    """
    Measure empath in the dark, with metrics that are scraped, and with traces of few and of all messages.
    """
    text = measured(options, lambda _: options.mta or WATCHED)
    print("\n" + text)
    write(options, text)
    return 0


def signed(options: argparse.Namespace) -> int:
    """
    Measure MTAs without and with signatures, those that are proved to sign; then what a signature costs by itself.
    """
    plain = chosen_mtas(options)
    asked = [f"{mta}+{key}" for key in signatures.KEYS for mta in plain if mta in ("empath", "postfix")]
    signing, notes = proved(asked, options.folder)
    with_tls = [*plain, *(mta for mta in signing if mta.endswith(WITH_TLS))]
    command = [sys.executable, "-m", "benchmarks.signing"]
    alone = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    more = "\n".join([*notes, "\n## A signature by itself, in empath's process\n", alone])
    text = measured(options, lambda what: [*plain, *signing] if what == "relay" else with_tls, more)
    print("\n" + text)
    write(options, text)
    return 0


def proved(
    asked: list[str],
    folder: Path | None,
    proof: Callable[[str, int, Path | None], list[str]] = runs.proof,
    has_opendkim: Callable[[], bool] = signatures.available,
) -> tuple[list[str], list[str]]:
    """
    Tell which MTAs make signatures that verify, and what came out; LoadFailed if empath does not.
    """
    signing, notes = [], []
    for mta in asked:
        if mta.startswith("postfix") and not has_opendkim():
            notes.append(f"- {mta}: left out, OpenDKIM is not installed (Debian: apt-get install opendkim)")
            continue
        refused = proof(mta, PROOFS, folder)
        told = f"- {mta}: {PROOFS - len(refused)} of {PROOFS} messages verify in dkimpy"
        if not refused:
            signing.append(mta)
        elif mta.startswith("empath"):
            raise load.LoadFailed(f"{told}: {refused[0]}")
        notes.append(f"{told}; left out: {refused[0]}" if refused else told)
    return signing, notes


def measured(options: argparse.Namespace, picked: Callable[[str], list[str]], more: str = "") -> str:
    """
    Put the loads on the MTAs that are picked for them, in turn; tells the whole result.
    """
    rounds = 1 if options.quick else options.rounds
    lines, notes, counted_by = [], [], set()
    for what in options.what:
        for one in chosen_loads(options, what == "receive-tls"):
            some = runs.interleaved(runs.MEASURES[what], picked(what), one, rounds, options.folder)
            counted_by |= {run.counted_by for run in some}
            lines.append(table.rows(what, one, some))
            print(lines[-1], end="", flush=True)
            notes += table.comparisons(what, one, some)
    return document(options, "".join(lines), [*notes, more], " and ".join(sorted(counted_by)), rounds)


def write(options: argparse.Namespace, text: str) -> None:
    """
    Keep the result, if that was asked for.
    """
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{time.strftime('%Y-%m-%d')}-{options.write}.md").write_text(text)


def document(options: argparse.Namespace, lines: str, notes: list[str], counted_by: str, rounds: int) -> str:
    """
    Write the whole result: what was done, on what, and what came out.
    """
    first = chosen_loads(options)[0]
    about = "".join(
        f"- {key}: {value}\n" for key, value in table.machine(options.folder or Path(tempfile.gettempdir())).items()
    )
    return (
        f"# Loopback benchmark, {time.strftime('%Y-%m-%d')}\n\n"
        f"{first.count} messages of {first.size} bytes a run over {first.sessions} sessions, {rounds} interleaved "
        f"round(s), each MTA fresh each time; median (least–greatest). CPU of all the MTA's processes, counted by "
        f"{counted_by}. What `receive` and `relay` mean is in benchmarks/README.md.\n\n"
        f"{table.HEAD}{lines}\n" + "\n".join(notes) + f"\n\n## Machine\n\n{about}"
    )


def ceiling(options: argparse.Namespace) -> int:
    """
    Print what the load does without an MTA.
    """
    for one in chosen_loads(options):
        print(f"{'many' if one.many else 'one'}: {runs.ceiling(one, 300.0):.0f} messages/s")
    return 0


def serve(options: argparse.Namespace) -> int:
    """
    Run one MTA until interrupted; says its port and its processes.
    """
    with tempfile.TemporaryDirectory(prefix="empath-benchmark-", dir=options.folder) as outer:
        Path(outer).chmod(0o755)
        with load.sink(mtas.free_port()) as taking:
            name = chosen_mtas(options)[0]
            with mtas.running(name, Path(outer) / name, taking.port, receive_only=False) as running:
                print(f"{name} listens on 127.0.0.1:{running.port}; processes {running.account.pids()}", flush=True)
                try:
                    while True:
                        time.sleep(3600)
                except KeyboardInterrupt:
                    print(f"{taking.taken} messages came through")
    return 0


if __name__ == "__main__":
    sys.exit(main())
