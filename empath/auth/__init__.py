"""
Who may log in: passwords, verifiers, and what they are checked with.
"""
