"""The built-in network profiles, their mixes by region, and the call formats that fit each."""
