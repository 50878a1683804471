"""What a link costs, and how many packets it carries."""
