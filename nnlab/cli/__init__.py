"""The ``nnlab`` command, which hands each of its commands to the package that does the work.

Imports everything below it, each where a command needs it.
"""
