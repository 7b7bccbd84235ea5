"""The catalog of parts and the plugin door they come in by: found, loaded, checked, and looked up by name."""
