"""
Receiving: Twisted around the server session.
"""
