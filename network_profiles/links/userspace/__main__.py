"""``python -m network_profiles.links.userspace SETTINGS NAME``: the daemon of a link (see ``tun_forwarder``).

``compiled`` in SETTINGS names the folder of its compiled modules, or is null. The process that starts the daemon looks
for it, because the search is too slow for the daemon.
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
            # Must come before any import of the packet path.
            serve_from(settings["compiled"])
        from network_profiles.links.daemon import serve
        from network_profiles.links.userspace.tun_forwarder import TunForwarder

        sys.exit(serve(lambda: TunForwarder(settings)))
