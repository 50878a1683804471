"""A result for people and machines: terminal, HTML, Markdown, JUnit."""
