"""What can happen in a call, besides talking: a catalogue of scenarios that run as load.

``SCENARIOS`` is data; ``engine.scripts.script`` acts it out, on real signaling and real media. A driver names one in
``PlaceCall.scenario``; the far side reads its part in the call's id (``calls.scenarios.mark``). Free of the engine, so
that a driver may choose by name, title and expected outcomes.
"""

from calls.scenarios.catalogue import SCENARIOS
from calls.scenarios.mark import Mark, mark_of, marked
from calls.scenarios.scenario import Part, Scenario, ScenarioAction, Step

__all__ = ["SCENARIOS", "Mark", "Part", "Scenario", "ScenarioAction", "Step", "mark_of", "marked"]
