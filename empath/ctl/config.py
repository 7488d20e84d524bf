"""
The verbs about the configuration. `check`, `schema` and `diff` of two files ask no MTA.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from empath.control.terms.config import ConfigDiff, DiffConfig, Difference, GetConfig, ShownConfig
from empath.ctl.errors import CtlError, Usage
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb
from empath.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from empath.config.load import Loaded


class Unusable(CtlError):
    """
    A configuration file has problems.
    """

    kind = "bad-configuration"


@attrs.frozen
class Checked:
    """
    A configuration that can be used; `path` is "" for the built-in development defaults.
    """

    path: str
    usable: bool = True


@verb(
    """
    empathctl config check /etc/empath/empath.toml
    empathctl config check new.toml && mv new.toml empath.toml
    empathctl config check
    """
)
@click.argument("file", required=False)
def check(tool: Tool, file: str | None) -> None:
    """
    Tell whether a configuration can be used, and all that is wrong with it.

    Certificates, keys, lists and logins are read, and modules are made, as at the start; nothing is opened or started.
    Without FILE it is the one that empath would find. Needs no running MTA. Run it as the user that empath runs as:
    what that one may not read is a problem, too.
    """
    _load(tool, file)
    path = _start_checked(tool, file)
    if tool.json:
        tool.write_json(Checked(path))
    else:
        tool.say(f"{path or 'No file was found; the built-in development defaults'} can be used.")


def _start_checked(tool: Tool, file: str | None) -> str:
    """
    Have all made that a start would make, in a process of its own: modules are anybody's code. Tells the file.
    """
    command = [sys.executable, "-P", "-m", "empath.checking", *([file] if file else [])]
    folder, environment = tool.around.folder, dict(tool.around.environment)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError as trouble:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise Unusable(f"it could not be checked: {last or f'ended with {done.returncode}'}") from trouble
    if found["problems"]:
        raise Unusable(*found["problems"])
    return str(found["path"])


def _load(tool: Tool, path: str | None) -> Loaded:
    """
    Read a file as the MTA would.
    """
    from empath.config import offline

    around = attrs.evolve(offline.here(), folder=tool.around.folder, environ=tool.around.environment)
    try:
        return offline.check(path, around)
    except ConfigError as error:
        raise Unusable(*error.problems) from error


@verb(
    """
    empathctl config show
    empathctl config show > as-it-is.toml
    empathctl config show --json
    """
)
def show(tool: Tool) -> None:
    """
    Show the configuration that is in force, with all defaults, and what was set by hand instead.

    It is TOML; secrets are masked.
    """
    tool.answer(GetConfig(), written)


def written(answer: ShownConfig) -> RenderableType:
    """
    Write it as TOML; what overrides it, and where it is from, is a comment.
    """
    from rich.console import Group

    from empath.config.written import toml_text
    from empath.ctl.colours import plain

    pieces: list[RenderableType] = [plain(f"# {answer.path or 'no file: the defaults for development'}", "dim")]
    for each in answer.overrides:
        pieces.append(plain(f"# set by hand: {each.kind} {each.name} = {each.value}".replace("  ", " "), "yellow"))
    text = toml_text(answer.values).rstrip("\n")
    return Group(*pieces, plain(""), *(plain(line) for line in text.split("\n")))


@verb(
    """
    empathctl config diff /etc/empath/empath.toml
    empathctl config diff old.toml new.toml
    """
)
@click.argument("files", nargs=-1, required=True, metavar="FILE | OLD NEW")
def diff(tool: Tool, files: tuple[str, ...]) -> None:
    """
    Compare a file with the configuration of the running MTA, or two files.

    Tells by key what a reload would use at once, and what only a restart applies. Two files need no running MTA.
    """
    match files:
        case [new]:
            path = tool.around.folder / new
            answer = tool.ask(DiffConfig(str(path.absolute()), _text(path)))
        case [old, new]:
            answer = _compared(tool, old, new)
        case _:
            raise Usage("compare one file with the running MTA, or two with one another")
    if answer.problems:
        raise Unusable(*answer.problems)
    tool.show(answer, compared)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as trouble:
        raise Unusable(f"{path}: cannot be read: {trouble.strerror}") from trouble
    except UnicodeDecodeError as trouble:
        raise Unusable(f"{path}: not UTF-8 at byte {trouble.start}; allowed: TOML in UTF-8") from trouble


def _compared(tool: Tool, old: str, new: str) -> ConfigDiff:
    """
    Compare two files.
    """
    from empath.config.offline import compare

    found = compare(_load(tool, old).config, _load(tool, new).config)
    return ConfigDiff(
        tuple(Difference(each.key, each.old, each.new, bool(each.restart), each.restart) for each in found)
    )


def compared(answer: ConfigDiff) -> RenderableType:
    """
    List what is different.
    """
    from rich.console import Group

    from empath.ctl.colours import joined, plain

    if not answer.differences:
        return "Nothing is different."
    pieces: list[RenderableType] = []
    for each in answer.differences:
        why = f"only a restart applies it: {each.reason}" if each.reason else "only a restart applies it"
        how = plain(why, "yellow") if each.restart else plain("a reload applies it", "green")
        pieces.append(joined(plain(each.key, "bold"), how))
        pieces += [plain(f"  - {each.old}", "red")] if each.old else []
        pieces += [plain(f"  + {each.new}", "green")] if each.new else []
    return Group(*pieces)


@verb(
    """
    empathctl config schema > empath.schema.json
    """
)
def print_schema(tool: Tool) -> None:
    """
    Print the JSON Schema of the configuration file, with defaults, units and what each key is for.

    Editors that know TOML use it to complete and check. It is JSON with and without --json. Needs no running MTA.
    """
    from empath.config.json_schema import json_schema

    tool.write_json(json_schema())
