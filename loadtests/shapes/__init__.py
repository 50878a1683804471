"""The shapes of a load: each file turns a table of the plan into levels over time.

``steady ramp launch_day soak`` are known in full before the run: they become stages. ``knee rollout`` decide each step
by what the one before it came to: ``stepwise`` says how, ``judging`` judges a step with the gate's own statistics, and
``driver`` walks them in the master.
"""
