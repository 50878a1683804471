"""The pages that ringfence adds to Locust's web UI, and the guard before all of them."""
