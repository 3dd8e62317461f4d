"""Log-in through Flask AppBuilder: accounts in Airflow's database, nobody registers himself, nobody is anonymous."""

from flask_appbuilder.const import AUTH_DB

AUTH_TYPE = AUTH_DB
AUTH_USER_REGISTRATION = False
WTF_CSRF_ENABLED = True
SESSION_COOKIE_HTTPONLY = True
# One api-server with one worker: its own memory is the right place to count log-in attempts in.
RATELIMIT_STORAGE_URI = "memory://"
