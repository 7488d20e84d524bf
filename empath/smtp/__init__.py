"""
The SMTP dialogue, both halves, without I/O. Pure.
"""
