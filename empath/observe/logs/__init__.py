"""
What is logged: the lines that life events make, and how lines are written.
"""
