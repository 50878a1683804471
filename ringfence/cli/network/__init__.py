"""``ringfence network``: the link profiles, what they give a call, proof that they are what they say."""
