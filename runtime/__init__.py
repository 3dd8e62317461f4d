"""What every Watershed process has: settings read once, structured logs, metrics, health endpoints, a clean stop."""
