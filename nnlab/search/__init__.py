"""A search for good runs with Optuna: a Hydra sweeper, its space, its samplers, its study.

Imports the launcher and what lies below it; Optuna, where it is needed.
"""
