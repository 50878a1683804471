"""Small SVG charts, drawn here: no script, no library, colours from the page's own style sheet."""
