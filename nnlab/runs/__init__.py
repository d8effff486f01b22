"""What defines a run: its config and identity, its data, the code and the machine; sweeps, studies.

Imports ``training`` and ``data``.
"""
