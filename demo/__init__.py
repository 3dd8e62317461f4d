"""Events made up from a seed, sent to the collector, and held against what the charts say of them."""
