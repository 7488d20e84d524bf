"""
How operators and their programs talk with a running empath: terms, the server, and the clients.
"""
