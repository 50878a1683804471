"""Network profiles, shaped links that follow them, and the measurements that prove a link matches its profile.

Names are imported on first use: the daemon that moves a link's packets imports this package too, and must not load
pydantic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from network_profiles.catalogue.catalogue import load_catalogue, resolve
    from network_profiles.catalogue.region_mix import RegionMix, load_mixes
    from network_profiles.links.backends import choose_backend
    from network_profiles.links.open_link import ShapedLink, missing_prerequisites, open_link, sweep
    from network_profiles.model.profile import Direction, NetworkProfile
    from network_profiles.verification.proof import Evidence, measure

_HOMES = {
    "Direction": "model.profile",
    "Evidence": "verification.proof",
    "NetworkProfile": "model.profile",
    "RegionMix": "catalogue.region_mix",
    "ShapedLink": "links.open_link",
    "choose_backend": "links.backends",
    "missing_prerequisites": "links.open_link",
    "load_catalogue": "catalogue.catalogue",
    "load_mixes": "catalogue.region_mix",
    "measure": "verification.proof",
    "open_link": "links.open_link",
    "resolve": "catalogue.catalogue",
    "sweep": "links.open_link",
}

__all__ = [
    "Direction",
    "Evidence",
    "NetworkProfile",
    "RegionMix",
    "ShapedLink",
    "choose_backend",
    "load_catalogue",
    "load_mixes",
    "measure",
    "missing_prerequisites",
    "open_link",
    "resolve",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'network_profiles' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"network_profiles.{_HOMES[name]}"), name)
