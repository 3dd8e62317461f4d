"""What a tenant may be called. No other name reaches a key, a role of the database, or a rule of Superset."""

import re

TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
TENANT_RULE = "1 to 40 of a-z, 0-9, _ and -, beginning with a letter or digit"
