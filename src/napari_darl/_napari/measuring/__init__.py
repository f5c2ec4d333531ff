"""The widget that measures vessels: paths and tables, movies, stenoses, and two masks compared."""
