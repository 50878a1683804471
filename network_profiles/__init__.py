"""Network profiles, the link they describe, namespaces behind such links, and the proof that a link is what it says.

Names are resolved on first use: the process that moves a link's packets imports this package too, and must not pay
for pydantic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from network_profiles.catalogue.catalogue import load_catalogue, resolve
    from network_profiles.catalogue.region_mix import RegionMix, load_mixes
    from network_profiles.links.backends import choose_backend
    from network_profiles.links.opening import ShapedLink, lacks, open_link, sweep
    from network_profiles.model.profile import Direction, NetworkProfile
    from network_profiles.verification.proof import Evidence, measure

_HOMES = {
    "Direction": "model.profile",
    "Evidence": "verification.proof",
    "NetworkProfile": "model.profile",
    "RegionMix": "catalogue.region_mix",
    "ShapedLink": "links.opening",
    "choose_backend": "links.backends",
    "lacks": "links.opening",
    "load_catalogue": "catalogue.catalogue",
    "load_mixes": "catalogue.region_mix",
    "measure": "verification.proof",
    "open_link": "links.opening",
    "resolve": "catalogue.catalogue",
    "sweep": "links.opening",
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
