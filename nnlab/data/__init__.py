"""Datasets: downloaded, read, checked and split; and the cache of what was read.

Imports ``errors`` and ``arrays`` alone.
"""
