"""
The targets: each module has `one_input`, which raises only for a fault of ours, and `TOKENS`, the words it reads.
"""
