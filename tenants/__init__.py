"""Makes a tenant everywhere it has to be known: write keys, the warehouse, Superset."""
