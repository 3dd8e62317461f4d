"""One folder per event type; everything else about a type is derived from its files by :mod:`contracts.registry`."""
