"""Alerts: rules over the marts, as reviewed files. An incident is told once when it begins and once when it is over."""
