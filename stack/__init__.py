"""The native local stack: real servers as plain processes under ``.local/``, all bound to 127.0.0.1."""
