"""Remember. Write every access down before it happens, and warn when one is too wide."""
