"""The histogram that legs count in: that of ``calls.histograms``."""

from calls.histograms import MsHistogram

__all__ = ["MsHistogram"]
