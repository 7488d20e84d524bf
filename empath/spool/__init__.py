"""
Durable storage of messages and what became of them.
"""
