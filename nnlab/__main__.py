"""``python -m nnlab``: the same as ``nnlab``."""

from nnlab.cli import main

main()
