"""``python -m network_profiles.links.userspace SETTINGS NAME``: the daemon of a link (see ``shuttle``).

``compiled`` in SETTINGS names the folder of its compiled modules, if there is one: only whoever starts it can afford
to look for it.
"""

from __future__ import annotations

import json
import sys

from bedrock import crash
from bedrock.compiled_finder import serve_from

if __name__ == "__main__":
    with crash.reporting("network_profiles.links.userspace"):
        settings = json.loads(sys.argv[1])
        if settings["compiled"]:
            # Before anything imports the packet path.
            serve_from(settings["compiled"])
        from network_profiles.links.daemon import serve
        from network_profiles.links.userspace.tun_forwarder import Shuttle

        sys.exit(serve(lambda: Shuttle(settings)))
