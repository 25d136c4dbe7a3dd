"""Decide. Say allow or refuse, and name the rule."""
