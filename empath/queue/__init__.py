"""
What is due, in which order, and what settled it.
"""
