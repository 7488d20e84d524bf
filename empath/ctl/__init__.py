"""
empathctl, the operator's tool: asks a running empath over its control socket and shows the answers to people.
"""
