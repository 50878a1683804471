"""The networks that ringfence knows, who has which, and what is feasible on them."""
