"""The shapes of a load: each file turns a table of the plan into levels over time.

``steady``, ``ramp``, ``launch_day`` and ``soak`` are known before the run, and become stages. ``knee`` and ``rollout``
choose each step by the result of the step before: see ``stepwise``. ``step_judge`` judges a step with the statistics of
the gate, and ``driver`` runs the steps in the master.

Keys of time end in ``_s`` and are named alike in every table: ``rise_s`` is the time to a level, ``hold_s`` the time at
a level. Where a shape has several stages, each key has its stage's name: ``ramp_s``, ``spike_s``, ``fall_s``,
``plateau_s``, ``settle_s``. A stage of ``[[swarm.stages]]`` has its own name, so its length is ``duration_s``.
"""
