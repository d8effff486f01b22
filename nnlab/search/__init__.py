"""A search for good runs with Optuna: its space, its samplers, its study.

Imports ``execution`` and what lies below it; Optuna, where it is needed.
"""
