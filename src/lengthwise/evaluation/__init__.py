"""Scores, protocols, leaderboard, ablation."""
