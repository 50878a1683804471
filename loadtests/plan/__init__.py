"""What a plan says, and what follows from it: personas, regions, durations, the mix of calls, changes from outside."""
