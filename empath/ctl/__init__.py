"""
empathctl: the operator's tool. It asks a running empath over its control socket, and does offline what needs none.

To add a verb, write a function in a module of this package, and name it in `empath.ctl.registry`:

    @verb('''
    empathctl queue hold 01JD…
    empathctl queue hold --domain example.org
    ''')
    @click.argument("domain")
    def freeze(tool: Tool, domain: str) -> None:
        '''
        Begin no attempt to a destination until it is unfrozen.
        '''
        tool.answer(Freeze(domain), lambda frozen: table(("domain", [row.domain for row in frozen.frozen])))

The function's docstring is its help, the text given to `verb` its examples. `tool` (`empath.ctl.tool.Tool`) asks, and
shows what comes back: as JSON, or as a function without side effects makes it (rich, from terms). Whatever a peer may
have chosen goes through `plain` (`empath.ctl.colours`), which escapes it and knows no markup; `table` and `pairs`
(`empath.ctl.tables`) do that with every `str`. Errors are raised, never printed: `empath.ctl.errors` makes messages and
exit codes of them. No module here imports Twisted, and what is slow to import (rich, the configuration) is imported
where it is used, as verbs are run by scripts.
"""
