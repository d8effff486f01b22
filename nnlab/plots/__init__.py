"""Arrays in, figures out: the figures of single runs, of sweeps and of stability studies.

The only package that imports matplotlib. Imports ``arrays`` alone: a function takes arrays and
returns a matplotlib ``Figure``, whatever the arrays come from. Import its modules inside functions
where the time counts: matplotlib takes 0.6 s to import.
"""
