"""
The audit trail: what happened to each message and what operators did, chained so that no change stays unseen.
"""
