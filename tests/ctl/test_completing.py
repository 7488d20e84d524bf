"""
Completion in shells.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import click
import pexpect
from twisted.trial.unittest import SynchronousTestCase

import empath as empath_package
from empath.control import faults
from empath.control.terms.queue import Item, ListQueue, QueuePage
from empath.ctl.completing import queue_ids, senders
from empath.ctl.errors import Exit
from empath.ctl.main import root
from empath.ctl.tool import Surroundings, Tool
from tests.ctl.asked import FakeClient, ran
from tests.ctl.samples import NOW


class CompletionTests(SynchronousTestCase):
    """
    Requirements on completion in shells.
    """

    def complete(self, line: str) -> list[str]:
        """
        Tell what bash would be offered behind `line`.
        """
        words = line.split(" ")
        asked = {"_EMPATHCTL_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        command = [sys.executable, "-m", "empath.ctl"]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **asked})
        return [each.partition(",")[2] for each in done.stdout.splitlines()]

    def test_verbs_and_options_are_completed(self) -> None:
        """
        Groups, verbs, options and the values that an option may have.
        """
        self.assertEqual(self.complete("empathctl sys"), ["system"])
        self.assertEqual(self.complete("empathctl dns l"), ["list-cache", "list-overrides"])
        self.assertEqual(self.complete("empathctl smtp connections --p"), ["--peer"])
        self.assertEqual(self.complete("empathctl system set-log-level d"), ["debug"])

    def test_each_shell_has_its_script(self) -> None:
        """
        Each says which program it completes.
        """
        for shell in ("bash", "zsh", "fish"):
            got = ran("completion", shell)
            self.assertEqual((got.code, "_EMPATHCTL_COMPLETE" in got.out), (0, True), shell)
        self.assertEqual(ran("completion", "csh").code, Exit.USAGE)

    def test_what_only_the_mta_knows_is_asked_of_it(self) -> None:
        """
        Nothing is offered without an answer, nor what a peer wrote to mean something to a shell.
        """
        names = ("a@b", "$(reboot)@b", "a@b", "c@b")
        rows = [
            Item(f"01J{at}", "d.test", "retry", NOW, 10, name, ("you@d.test",), 1, None, "")
            for at, name in enumerate(names)
        ]
        page = QueuePage(tuple(rows), "")
        self.assertEqual(self.offered(senders, "", page), ["a@b", "c@b"])
        self.assertEqual(self.offered(queue_ids, "01j3", page), ["01J3"])
        self.assertEqual(self.offered(senders, "", faults.Unreachable("gone")), [])

    def offered(self, offers: Callable[..., list[str]], incomplete: str, answer: Any) -> list[str]:
        """
        Tell what is offered behind `incomplete` by an MTA that answers so.
        """
        client: Any = FakeClient({ListQueue: answer})
        here = Path("/nonexistent")
        around = Surroundings(
            StringIO(), StringIO(), StringIO(), {}, here, lambda: NOW, lambda seconds: None, lambda *where: client
        )
        given = offers(click.Context(root(), obj=Tool(around)), click.Argument(["name"]), incomplete)
        self.assertEqual(client.closed, 1)
        return given


class ShellTests(SynchronousTestCase):
    """
    Requirements on the scripts, in the shells that are installed.
    """

    def setUp(self) -> None:
        self.folder = Path(os.path.abspath(self.mktemp()))
        self.folder.mkdir()
        program = self.folder / "empathctl"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m empath.ctl "$@"\n')
        program.chmod(0o755)
        paths = [str(Path(empath_package.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        self.around = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "TERM": "dumb",
            "PYTHONPATH": ":".join(filter(None, paths)),
        }

    def shell(self, name: str) -> str:
        """
        Find a shell.
        """
        path = shutil.which(name)
        if path is None:
            self.skipTest(f"no {name}")
        return path

    def test_fish(self) -> None:
        """
        It offers verbs and values.
        """
        script = (
            'empathctl completion fish | source; complete -C "empathctl dns l"; complete -C "empathctl completion z"'
        )
        done = subprocess.run(
            [self.shell("fish"), "-N", "-c", script], capture_output=True, text=True, env=self.around, timeout=60
        )
        offered = [line.partition("\t")[0] for line in done.stdout.splitlines()]
        self.assertEqual(offered, ["list-cache", "list-overrides", "zsh"], done.stderr)

    def test_zsh(self) -> None:
        """
        It fills in what there is only one of.
        """
        begin = "autoload -Uz compinit; compinit -u; source <(empathctl completion zsh); PS1='ready> '"
        self.typed([self.shell("zsh"), "-f", "-i"], begin, "empathctl dns refr\t", "empathctl dns refresh")

    def test_bash(self) -> None:
        """
        So does it.
        """
        begin = "source <(empathctl completion bash); PS1='ready> '"
        self.typed([self.shell("bash"), "--norc", "-i"], begin, "empathctl dns refr\t", "empathctl dns refresh")

    def typed(self, command: list[str], begin: str, keys: str, seen: str) -> None:
        """
        Sit at a shell, type `keys`, and wait until `seen` is on its line.
        """
        child: pexpect.spawn[str] = pexpect.spawn(
            command[0], command[1:], env=self.around, encoding="utf-8", timeout=60, dimensions=(24, 120)
        )
        self.addCleanup(child.close, True)
        child.sendline(begin)
        child.expect("ready> (?!')")
        child.send(keys)
        child.expect_exact(seen)
