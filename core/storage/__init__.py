"""Gateway to disk: the database, one module a table family, and the artifact folders."""
