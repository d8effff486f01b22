"""The network of the notes and how a stack of such networks is trained: a pure function, in NumPy.

Imports ``data``, for the dataset. Knows no config, no file and no store: what a worker process
loads is this package.
"""
