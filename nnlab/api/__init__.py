"""What ``import nnlab`` offers: runs and sweeps from Python, with handles on what is recorded.

Imports everything below ``launcher``, each where a call needs it. ``nnlab`` itself only offers the
names.
"""
