"""What every floor stands on: exit codes, the form of an error, checked input, child processes, clocks.

A module belongs here only when three packages or more need it and none of them may import another.
"""
