"""Calls: their record, rules, media and quality, the engine that runs them, and the services they are placed on."""
