"""``python -m calls.engine``: one engine process. See ``calls.engine.program``."""

from __future__ import annotations

from bedrock import crash
from calls import compiled

if __name__ == "__main__":
    with crash.reporting("calls.engine"):
        # Before anything imports the packet path.
        compiled.use()
        from calls.engine.program import main

        main()
