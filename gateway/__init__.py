"""Serve. Speak HTTP, read the settings, wire all of it together."""
