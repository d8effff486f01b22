"""What every package may use of the machine: checked files, temporary folders, commands.

Imports errors and arrays.
"""
