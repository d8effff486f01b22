"""What defines a run: its config and identity, its data, its code and machine; sweeps and studies.

Imports ``training`` and ``data``.
"""
