"""From many runs to tables, intervals, conclusions, figures and reports.

Imports ``tracking``, ``jobs``, ``training`` and ``plots``. The end of a sweep and the commands
``nnlab compare`` and ``nnlab report`` use the same functions.
"""
