"""
What can be asked of a running empath, and what it answers: the one vocabulary of server, client, `empathctl --json`.

Each request is a frozen class whose `verb` names it and whose `answer` is the class of what comes back; both travel as
JSON, times in it as UTC (RFC 3339). Adding a field with a default is free, everything else needs another protocol
version (`empath.control.protocol`).
"""
