"""Defines what can happen in a call besides talking: a catalogue of scenarios that run as load.

``SCENARIOS`` is data. ``engine.scripts.script`` carries it out on real signaling and media. A driver names a scenario
in ``PlaceCall.scenario``; the far side reads its part from the call's id (``calls.scenarios.mark``). The package does
not import the engine, so a driver can choose by name, title and expected outcomes.
"""

from calls.scenarios.catalogue import SCENARIOS
from calls.scenarios.mark import Mark, mark_of, marked
from calls.scenarios.scenario import Part, Scenario, ScenarioAction, Step

__all__ = ["SCENARIOS", "Mark", "Part", "Scenario", "ScenarioAction", "Step", "mark_of", "marked"]
