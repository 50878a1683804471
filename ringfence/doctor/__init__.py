"""What this machine has, which tiers it can run, and the command for each missing piece."""
