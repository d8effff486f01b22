"""Runs carried between stores in archives; stores checked and repaired.

Imports ``execution``, for the ledgers of unfinished sweeps, and all packages below it.
"""
