"""
The pages over HTTP: who may see them, and how they are served.
"""
