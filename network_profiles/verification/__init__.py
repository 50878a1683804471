"""The proof that an open link is its profile: what is measured and what is allowed."""
