"""One reader per dataset of others (and one for the project's own): ``read(folder)``."""
