"""
`empathctl completion`: what makes a shell complete our words.
"""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import ShellComplete, get_completion_class

from empath.ctl.tool import Tool
from empath.ctl.verbs import verb

VARIABLE: Final = "_EMPATHCTL_COMPLETE"  # what click's programs look for


@verb(
    """
    empathctl completion bash > /etc/bash_completion.d/empathctl
    empathctl completion zsh > "${fpath[1]}/_empathctl"
    empathctl completion fish > ~/.config/fish/completions/empathctl.fish
    """
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(tool: Tool, shell: str) -> None:
    """
    Print what makes a shell complete verbs, options and their values.

    A new shell knows it. For the running one: eval "$(empathctl completion bash)".
    """
    found = get_completion_class(shell)
    if found is None:  # click has all three
        raise click.BadParameter(shell)
    root = click.get_current_context().find_root().command
    script = ShellComplete.source(found(root, {}, "empathctl", VARIABLE))  # bash's own first runs a bash
    if tool.json:
        tool.write_json({"script": script})
    else:
        print(script, file=tool.around.out)
