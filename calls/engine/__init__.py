"""The engine process (asyncio on uvloop, never gevent): people, their calls, and the rows of both."""
