"""Who trains what and when, what is recorded while it happens, and how it ends.

Imports ``analysis`` and all packages below it: at a sweep's end its figures are drawn and its
summary is written.
"""
