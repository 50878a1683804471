"""Scores speech quality from counters: the full-band E-model of ITU-T G.107.2 with published parameters for Opus."""

from calls.quality.score import MODEL, CallScore, Heard, Score, score_call, score_window

__all__ = ["MODEL", "CallScore", "Heard", "Score", "score_call", "score_window"]
