"""
Verbs and groups that take the global options before and behind the verb.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from textwrap import dedent, indent
from typing import Any

import attrs
import click

from empath.ctl.tool import Tool


def _settle(ctx: click.Context, parameter: click.Parameter, value: object) -> object:
    """
    Keep what was given; what stands further right wins.
    """
    if value is not None and parameter.name is not None:
        tool = ctx.find_object(Tool)
        if tool is not None:
            tool.given = attrs.evolve(tool.given, **{parameter.name: value})  # type: ignore[arg-type]  # by the names of the options
    return value


def _global(*names: str, **settings: Any) -> click.Option:
    return click.Option(names, default=None, expose_value=False, callback=_settle, **settings)


def global_options() -> list[click.Parameter]:
    """
    Make the options that every verb takes.
    """
    return [
        _global(
            "--socket", metavar="PATH", help="The control socket. Else $EMPATH_CONTROL_SOCKET, the configuration's."
        ),
        _global("--token-file", metavar="FILE", help="Holds the token, if one is needed. Else $EMPATH_CONTROL_TOKEN."),
        _global("--json", is_flag=True, help="Print JSON."),
        _global("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Wait so long. [10]"),
    ]


class _Global(click.Command):
    """
    What has the global options beside its own, and examples, its epilog, that keep their lines.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """
        Add the global options to the verb's own, but for those whose names it uses itself.
        """
        own = super().get_params(ctx)
        taken = {name for each in own for name in each.opts}
        return [*own, *(each for each in global_options() if not taken.intersection(each.opts))]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """
        Tell the own ones first.
        """
        shared = {option.name for option in global_options()}
        rows: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                rows[parameter.name in shared or parameter.name == "help"].append(record)
        for title, chosen in (("Options", rows[False]), ("Global options", rows[True])):
            if chosen:
                with formatter.section(title):
                    formatter.write_dl(chosen)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """
        Write the examples as they are.
        """
        if self.epilog:
            formatter.write(f"\nExamples:\n{indent(self.epilog, '  ')}\n")


class Verb(_Global):
    """
    One verb.
    """


class GlobalGroup(_Global, click.Group):
    """
    A group of verbs.
    """

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """
        Tell the options, then the verbs.
        """
        _Global.format_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)


def verb(examples: str) -> Callable[[Callable[..., None]], Verb]:
    """
    Make a verb of a function that takes the `Tool`, then its own arguments and options by name. `examples` are command
    lines, one a line, each of which may have a comment behind two spaces and "#".
    """

    def decorate(function: Callable[..., None]) -> Verb:
        text = re.sub(r"(?<!\n)\n(?!\n)", " ", dedent(function.__doc__ or "").strip())
        return click.command(cls=Verb, help=text, epilog=dedent(examples).strip())(click.pass_obj(function))

    return decorate


def watched(function: Callable[..., None]) -> Callable[..., None]:
    """
    Give a verb `--watch` and `--interval`.
    """
    watch = click.option("--watch", is_flag=True, help="Show it again and again, on one connection, until ^C.")
    interval = click.option(
        "--interval",
        type=click.FloatRange(min=0.1),
        default=2.0,
        metavar="SECONDS",
        help="Between two looks with --watch. [2]",
    )
    return watch(interval(function))
