"""A recorded run, compared with another one or trained again; a config taken from a recorded run.

Imports ``execution``, to train, and all packages below it.
"""
