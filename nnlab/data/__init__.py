"""From bytes, on disk or on the network, to a checked dataset and its split.

Imports ``errors`` and ``arrays`` alone.
"""
