"""What a call is: its record, its states, its media, its quality, and the services it can be placed on."""
