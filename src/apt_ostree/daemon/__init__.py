"""apt-ostreed: objects on the bus, transactions, authorisation.  Workers do the work."""
