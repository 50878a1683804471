"""The run folder and the records that workers send to it."""
