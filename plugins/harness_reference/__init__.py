"""Reference rows: what a score is compared with. No method of its own."""
