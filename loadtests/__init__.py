"""The swarm: a Locust load test whose users are signed-in people who call and write to each other.

Locust runs on gevent; the calls run in one engine process a worker, on asyncio. Nothing here touches media.
"""
