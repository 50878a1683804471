"""``list`` and ``show`` for what comes with ringfence: plans, scenarios, metrics, SLO files."""
