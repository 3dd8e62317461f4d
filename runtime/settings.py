"""Settings come from environment variables and are read once, in ``main``, into a frozen object.

A room declares its settings as one subclass of :class:`Settings`; the field's name in capitals is the variable's
name, and its description is the row in ``docs/settings.md`` (generated; a test holds the two together).
"""

from typing import Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOM = "WATERSHED_ROOM"
"""Variable of a process that was given its room's values: the ``watershed`` command then looks for no others."""


class SettingsError(Exception):
    """A setting is missing or malformed; the message names every variable and what is wrong with it."""


class Settings(BaseSettings):
    """Frozen settings; each field ``some_name`` is read from ``SOME_NAME`` and needs a description."""

    # Errors do not repeat what was given: it may be a password.
    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=False, hide_input_in_errors=True)

    @classmethod
    def read(cls) -> Self:
        """Read the settings from the environment.

        :raises SettingsError: one line per missing or malformed variable, naming it.
        """
        try:
            return cls()
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
            raise SettingsError(
                f"{cls.__name__}: " + "; ".join(lines) + " (see docs/settings.md; `make up` writes .local/env)"
            ) from error
