"""The records that every door writes, and the segments that hold them."""
