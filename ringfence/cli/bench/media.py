"""``ringfence bench media``: what a call costs this machine, measured now."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated, Literal

from cyclopts import Parameter, validators


def media(
    *,
    calls: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=2000))] = 100,
    seconds: Annotated[float, Parameter(validator=validators.Number(gt=0, lte=600))] = 10.0,
    kind: Literal["audio", "video"] = "audio",
    tier: Literal["packets", "media"] = "packets",
    json: bool = False,
) -> int:
    """Hold two-way calls over loopback in one engine process: CPU a call, send lateness, losses, set-up cost.

    Every packet is encrypted, sent, received, decrypted, parsed and counted; a call's cost is that of both its ends.

    Parameters
    ----------
    calls
        Calls at the same time.
    seconds
        How long they talk.
    kind
        audio or video.
    tier
        packets (pre-encoded) or media (encodes and decodes).
    json
        Print one JSON object.
    """
    argv = [sys.executable, "-m", "calls.media.bench", "--calls", str(calls), "--seconds", str(seconds)]
    argv += ["--media", kind, "--tier", tier, *(["--json"] if json else [])]
    return subprocess.run(argv, check=False).returncode
