"""Module paths under which llm-d's images start its servers."""
