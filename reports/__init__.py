"""Reads a run folder, judges it by its SLO file, and tells the result: terminal, HTML, JUnit, Markdown, JSON."""
