"""What a DuckDB is told before it reads anything: it can open no file but those named, and nothing loosens that."""

import os

THREADS = min(os.cpu_count() or 1, 4)
"""Of each door: its streams share them."""

MEMORY = "50%"
"""Of the machine's, for all streams of one dataset: past it a read fails, instead of the gateway."""

BUFFER = "SET max_streaming_buffer_size = '4MB'"
"""Rows that wait to be fetched, beside the batch that each thread is making: about two batches. A stream takes a tenth
longer with 1 MB, and is no faster with 16."""

SETTINGS = (
    # Rows that do not fit must not be spilled to a disk that nobody guards.
    "SET temp_directory = ''",
    f"SET threads = {THREADS}",
    f"SET memory_limit = '{MEMORY}'",
    "SET TimeZone = 'UTC'",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    # Whose rows they are is remembered by their place.
    "SET preserve_insertion_order = true",
    "SET enable_external_file_cache = false",
    "SET parquet_metadata_cache = true",
    # Both make joins, and joins do not keep the order of rows: which leave first, or under a limit at all, would depend
    # on how many there are that must not be seen.
    "SET disabled_optimizers = 'in_clause,late_materialization'",
    # Else a name that is no table would be looked for among the variables of whoever asks.
    "SET python_enable_replacements = false",
    "SET allowed_configs = ['max_streaming_buffer_size']",
)
"""Before anything else."""

LOCK = ("SET enable_external_access = false", "SET lock_configuration = true")
"""Once its files are named: from here on nothing can be undone."""
