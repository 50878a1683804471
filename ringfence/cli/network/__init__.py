"""``ringfence network``: lists, draws and proves network profiles, and runs commands behind them."""
