"""The names that every policies file starts from: the Fides taxonomy, and what Remit holds itself.

Source: `fideslang.DEFAULT_TAXONOMY`, data categories and data uses.
"""

from fideslang.default_taxonomy import DEFAULT_TAXONOMY

DATA_CLASSES = frozenset(category.fides_key for category in DEFAULT_TAXONOMY.data_category)
"""Data classes of the Fides taxonomy, `user.behavior` for instance."""

PURPOSES = frozenset(use.fides_key for use in DEFAULT_TAXONOMY.data_use)
"""Purposes of the Fides taxonomy, `train_ai_system` for instance."""

OWN = "remit"
"""Everything within it is Remit's own; no file may declare it."""

OWN_CLASSES = frozenset({"remit.audit", "remit.alerts", "remit.policy", "remit.grants"})
"""Remit's own data classes; their sensitivity is high."""

OVERSIGHT = "oversight"
"""The purpose of looking at Remit's own things, unless a narrower one is named."""

IDENTIFIER = "user.unique_id"
"""The class whose values name a person or a device, whether a file marks it or not."""
