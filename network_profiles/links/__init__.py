"""Opens shaped links: namespaces, backends, daemons, and programs that run behind a link."""
