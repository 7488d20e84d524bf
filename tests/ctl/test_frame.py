"""
What all of empathctl's verbs have in common.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from msgspec import json
from twisted.trial.unittest import SynchronousTestCase

from empath.control import faults
from empath.control.terms.system import Ping, Pong
from empath.ctl.connection import find_socket, read_token
from empath.ctl.errors import Exit, Usage
from empath.ctl.main import root
from tests.ctl.asked import ran
from tests.ctl.samples import NOW

PONG = Pong("1.0", 1, "mx.example.org", 4711, NOW)


def leaves(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    """
    Give every verb with the words that name it.
    """
    if not isinstance(command, click.Group):
        yield ctx.command_path, command
        return
    for name in command.list_commands(ctx):
        below = command.get_command(ctx, name)
        assert below is not None, name
        yield from leaves(below, click.Context(below, ctx, name))


def every_verb() -> list[tuple[str, click.Command]]:
    """
    List all verbs.
    """
    command = root()
    return list(leaves(command, click.Context(command, info_name="empathctl")))


class FrameTests(SynchronousTestCase):
    """
    Requirements on options, output and errors of all verbs.
    """

    def test_global_options_stand_anywhere(self) -> None:
        """
        Before the group, before the verb and behind it they mean the same.
        """
        lines = (["--json", "system", "ping"], ["system", "--json", "ping"], ["system", "ping", "--json"])
        outputs = {ran(*line, answers={Ping: PONG}).out for line in lines}
        [output] = outputs
        self.assertEqual(json.decode(output, type=Pong), PONG)

    def test_errors_of_the_connection_have_their_exit_codes(self) -> None:
        """
        As the contract has them.
        """
        expected = {
            faults.Unreachable: Exit.UNREACHABLE,
            faults.TimedOut: Exit.UNREACHABLE,
            faults.ConnectionLost: Exit.UNREACHABLE,
            faults.NotPermitted: Exit.NOT_ALLOWED,
            faults.RefusedByServer: Exit.REFUSED,
            faults.NotFoundThere: Exit.REFUSED,
            faults.TooLarge: Exit.REFUSED,
            faults.WrongVersion: Exit.REFUSED,
            faults.ServerFault: Exit.REFUSED,
        }
        for error, code in expected.items():
            got = ran("system", "ping", answers={Ping: error("first", "second")})
            self.assertEqual((got.code, got.out, got.err), (code, "", "empathctl: first\n  second\n"), error)

    def test_errors_are_json_where_output_is(self) -> None:
        """
        Also those of a command line that makes no sense.
        """
        got = ran("system", "ping", "--json", answers={Ping: faults.NotFoundThere("gone")})
        error = {"kind": "not-found", "problems": ["gone"], "exit": 1}
        self.assertEqual((got.code, json.decode(got.err)), (1, {"error": error}))
        got = ran("system", "pong", "--json")
        self.assertEqual((got.code, json.decode(got.err)["error"]["kind"]), (Exit.USAGE, "usage"))

    def test_what_makes_no_sense_is_answered_with_the_way_out(self) -> None:
        """
        The help that would have told is named.
        """
        got = ran("system", "ping", "--timeout", "0")
        self.assertEqual(got.code, Exit.USAGE)
        self.assertIn("Try 'empathctl system ping --help'.", got.err)

    def test_what_a_server_says_does_not_drive_the_terminal(self) -> None:
        """
        Control characters in errors are escaped.
        """
        got = ran("system", "ping", answers={Ping: faults.RefusedByServer("\x1b[2Jboo")})
        self.assertEqual(got.err, "empathctl: \\x1b[2Jboo\n")

    def test_an_interrupt_is_told_as_shells_do(self) -> None:
        """
        ^C gives 130, and no traceback.
        """

        def interrupted(request: object) -> object:
            raise KeyboardInterrupt

        got = ran("system", "ping", answers={Ping: interrupted})
        self.assertEqual((got.code, got.err), (130, "empathctl: interrupted\n"))

    def test_the_connection_is_closed_in_the_end(self) -> None:
        """
        Whatever came of it.
        """
        self.assertEqual(ran("system", "ping", answers={Ping: PONG}).client.closed, 1)
        self.assertEqual(ran("system", "ping", answers={Ping: faults.TimedOut("late")}).client.closed, 1)

    def test_a_group_alone_gives_its_help(self) -> None:
        """
        As lines on standard error, as for every line that makes no sense; as JSON it is an error like others.
        """
        for words in ((), ("system",)):
            got = ran(*words)
            self.assertEqual((got.code, got.out), (Exit.USAGE, ""))
            self.assertIn("\nCommands:\n", got.err)
        got = ran("system", "--json")
        self.assertEqual((got.code, json.decode(got.err)["error"]["kind"]), (Exit.USAGE, "usage"))

    def test_whoever_stops_reading_is_no_error(self) -> None:
        """
        Such as head, in the middle of a long document.
        """
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = self.written_to(writer)
        finally:
            os.close(writer)
        self.assertEqual((done.returncode, done.stderr), (Exit.DONE, ""))

    def test_a_full_disk_is_told(self) -> None:
        """
        In a line; whoever reads the file that was to be must not take it for whole.
        """
        with open("/dev/full", "w") as full:
            done = self.written_to(full.fileno())
        self.assertEqual(done.returncode, Exit.REFUSED)
        [problem] = json.decode(done.stderr)["error"]["problems"]
        self.assertEqual(problem, "nothing can be written: No space left on device")

    def written_to(self, out: int) -> subprocess.CompletedProcess[str]:
        """
        Have a long document written to a file descriptor.
        """
        command = [sys.executable, "-m", "empath.ctl", "config", "schema", "--json"]
        return subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True)

    def test_the_version_is_told(self) -> None:
        """
        By --version.
        """
        done = subprocess.run([sys.executable, "-m", "empath.ctl", "--version"], capture_output=True, text=True)
        self.assertTrue(done.stdout.startswith("empathctl "), done.stdout)


class EveryVerbTests(SynchronousTestCase):
    """
    Requirements on each verb that there is.
    """

    def test_each_has_help_and_examples_that_work(self) -> None:
        """
        Every example can be parsed.
        """
        verbs = dict(every_verb())
        for path, command in verbs.items():
            self.assertTrue(command.help and command.epilog, path)
            for line in str(command.epilog).splitlines():
                words = shlex.split(line.replace("$(", "").replace(")", ""), comments=True)
                for shell in (">", ">>", "<", "|", "&&"):
                    words = words[: words.index(shell)] if shell in words else words
                if words[: len(path.split())] == path.split():
                    self._parse(command, words[len(path.split()) :], line)
                else:
                    self.assertTrue(any(line.startswith(other) for other in verbs) or words[0] != "empathctl", line)

    def _parse(self, command: click.Command, words: list[str], line: str) -> None:
        try:
            command.make_context(command.name, list(words), resilient_parsing=False).close()
        except click.UsageError as error:
            self.fail(f"{line}: {error.message}")

    def test_none_needs_twisted(self) -> None:
        """
        Importing all of them imports no part of it: it takes longer than all the rest.
        """
        script = (
            "import sys; from empath.ctl.registry import GROUPS, imported\n"
            "for _, verbs in GROUPS.values():\n"
            "    for name, place in verbs.items():\n"
            "        imported(place, name)\n"
            "print(any(name.startswith('twisted') for name in sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        self.assertEqual((done.stdout, done.stderr), ("False\n", ""))

    def test_a_ping_imports_neither_rich_nor_the_configuration(self) -> None:
        """
        What scripts run often starts fast.
        """
        script = (
            "import sys; from empath.ctl.main import run, connect; from empath.ctl.tool import open_standard\n"
            "run(['system', 'ping', '--socket', '/nonexistent'], open_standard(connect))\n"
            "print([name for name in ('rich', 'twisted', 'empath.config', 'getpass') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        self.assertEqual(done.stdout, "[]\n", done.stderr)


class SocketTests(SynchronousTestCase):
    """
    Requirements on where the socket is looked for.
    """

    def setUp(self) -> None:
        self.folder = Path(os.path.abspath(self.mktemp()))
        self.folder.mkdir()

    def found(self, given: str | None = None, **environment: str) -> str:
        """
        Tell what is found, relative to the folder.
        """
        path = find_socket(given, environment, self.folder).path
        return str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else str(path)

    def test_what_is_nearest_wins(self) -> None:
        """
        --socket, the environment, the configuration, ./.empath, /run.
        """
        self.assertEqual(self.found(), "/run/empath/control.sock")
        (self.folder / ".empath").mkdir()
        (self.folder / ".empath" / "control.sock").touch()
        self.assertEqual(self.found(), ".empath/control.sock")
        (self.folder / "empath.toml").write_text('control_socket = "mine.sock"\n[smtp]\nwhatever = 1\n')
        self.assertEqual(self.found(), "mine.sock")
        self.assertEqual(self.found(EMPATH_CONTROL_SOCKET="env.sock"), "env.sock")
        self.assertEqual(self.found("given.sock", EMPATH_CONTROL_SOCKET="env.sock"), "given.sock")

    def test_the_configuration_is_the_one_that_the_mta_would_read(self) -> None:
        """
        $EMPATH_CONFIG before ./empath.toml; a path in it is relative to its folder; without one it is the usual one.
        """
        (self.folder / "empath.toml").write_text('control_socket = "mine.sock"\n')
        (self.folder / "etc").mkdir()
        (self.folder / "etc" / "other.toml").write_text('control_socket = "theirs.sock"\n')
        self.assertEqual(self.found(EMPATH_CONFIG="etc/other.toml"), "etc/theirs.sock")
        (self.folder / "etc" / "other.toml").write_text("")
        self.assertEqual(self.found(EMPATH_CONFIG="etc/other.toml"), "/run/empath/control.sock")

    def test_a_configuration_that_cannot_be_read_is_passed_over(self) -> None:
        """
        A broken file does not keep anybody from asking the MTA that runs with the one before.
        """
        (self.folder / "empath.toml").write_text("control_socket = ")
        self.assertEqual(self.found(), "/run/empath/control.sock")

    def test_folders_that_we_may_not_look_into_are_passed_over(self) -> None:
        """
        Such as /etc/empath for whoever is not root.
        """
        self.folder.chmod(0)
        self.addCleanup(self.folder.chmod, 0o700)
        if os.geteuid() == 0:
            os.seteuid(65534)
            self.addCleanup(os.seteuid, 0)
        self.assertEqual(self.found(), "/run/empath/control.sock")

    def test_a_socket_that_is_turned_off_is_said_to_be(self) -> None:
        """
        Nobody looks for it elsewhere.
        """
        (self.folder / "empath.toml").write_text('control_socket = ""')
        with self.assertRaises(Usage) as caught:
            self.found()
        self.assertIn("turns the control socket off", str(caught.exception))

    def test_the_token_is_from_a_file_or_the_environment(self) -> None:
        """
        Blanks around it do not count; none is no error, a file without one is.
        """
        file = self.folder / "token"
        file.write_text("secret\n")
        self.assertEqual(read_token(str(file), {"EMPATH_CONTROL_TOKEN": "other"}), "secret")
        self.assertEqual(read_token(None, {"EMPATH_CONTROL_TOKEN": "other"}), "other")
        self.assertIsNone(read_token(None, {}))
        file.write_text("\n")
        self.assertRaises(Usage, read_token, str(file), {})
        self.assertRaises(Usage, read_token, str(self.folder / "none"), {})
