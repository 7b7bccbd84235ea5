"""The leaderboard: a pure function of records."""
