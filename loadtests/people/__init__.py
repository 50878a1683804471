"""The simulated people: who they are, whom they follow, who is online, and what they do besides calling."""
