"""``python -m nnlab``: the same as ``nnlab``."""

from nnlab.cli.main import main

main()
