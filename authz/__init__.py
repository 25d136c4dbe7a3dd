"""Enforce. Know who asks, what they were granted, and let only that through."""
