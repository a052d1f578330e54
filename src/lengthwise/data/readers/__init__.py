"""One reader per dataset of others."""
