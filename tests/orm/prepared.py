"""For pytest: MariaDB's connector prepares every statement on the server, and binds what is given with it."""

import mariadb

_cursor = mariadb.Connection.cursor
mariadb.Connection.cursor = lambda self, *args, **kwargs: _cursor(self, *args, **kwargs | {"binary": True})
