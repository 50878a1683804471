"""The engine process: asyncio on uvloop, never gevent. People, their calls, and the rows of both."""
