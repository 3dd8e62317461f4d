"""Why a minute or an hour changed. Of several causes the gravest is told."""

REPROCESS = "reprocess"
CAUSES = ("load", "late", REPROCESS, "repair", "erasure")
"""The lightest first; any other (a rebuild, a time zone, a quiet day) is lighter than these."""
