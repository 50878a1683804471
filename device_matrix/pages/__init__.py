"""Page objects: what a scenario does to the app under test, in the app's own terms."""
