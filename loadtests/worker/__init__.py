"""A worker process: it draws arrivals, drives its engine, and reports its health."""
