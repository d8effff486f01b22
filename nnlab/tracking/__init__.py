"""The tracking store: made, opened, read and written; the files of a run; MLflow's UI.

Imports ``jobs``, ``training`` and ``data``. Only this package talks to MLflow.
"""
