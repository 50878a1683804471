"""Shows the result of a run: terminal, HTML, Markdown, JUnit."""
