"""
How fast and how dear: our MTA beside others, on one machine, in the same minutes.
"""
