"""Network profiles, the link they describe, namespaces behind such links, and the proof that a link is what it says.

Names are resolved on first use: the process that moves a link's packets imports this package too, and must not pay
for pydantic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from network_profiles.backends import choose_backend
    from network_profiles.catalogue import load_catalogue, resolve
    from network_profiles.lab import ShapedLink, lacks, open_link, sweep
    from network_profiles.mix import RegionMix, load_mixes
    from network_profiles.profile import Direction, NetworkProfile
    from network_profiles.proof import Evidence, measure

_HOMES = {
    "Direction": "profile",
    "Evidence": "proof",
    "NetworkProfile": "profile",
    "RegionMix": "mix",
    "ShapedLink": "lab",
    "choose_backend": "backends",
    "lacks": "lab",
    "load_catalogue": "catalogue",
    "load_mixes": "mix",
    "measure": "proof",
    "open_link": "lab",
    "resolve": "catalogue",
    "sweep": "lab",
}

__all__ = [
    "Direction",
    "Evidence",
    "NetworkProfile",
    "RegionMix",
    "ShapedLink",
    "choose_backend",
    "lacks",
    "load_catalogue",
    "load_mixes",
    "measure",
    "open_link",
    "resolve",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'network_profiles' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"network_profiles.{_HOMES[name]}"), name)
